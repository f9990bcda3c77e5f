//! `m2 completions`

use clap::Args;
use clap_complete::Shell;

use crate::context::Context;
use crate::failure::Failure;
use crate::reference;

/// The flags of `m2 completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(
    args: &CompletionsArgs,
    command: clap::Command,
    context: &Context,
) -> Result<(), Failure> {
    context
        .out
        .raw(&reference::completions(command, args.shell))
}
