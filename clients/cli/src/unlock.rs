//! `m2 unlock`

use std::path::PathBuf;

use clap::Args;
use m2_proto::api::v1::UnlockRequest;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::passphrase;

/// The flags of `m2 unlock`.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// Read the passphrase from this file, or from stdin for `-`; otherwise it is asked on the
    /// terminal
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(crate) async fn run(args: UnlockArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let file = args.passphrase_file.as_deref();
    let passphrase = passphrase::read(file, "Passphrase: ", context)?.to_string();
    let answer = call(client.daemon().unlock(UnlockRequest { passphrase })).await?;
    context.out.show(&answer, |_| "Unlocked.".to_owned())
}
