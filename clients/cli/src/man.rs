//! `m2 man`

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::reference;

/// The flags of `m2 man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this directory, which must exist
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(
    args: &ManArgs,
    command: clap::Command,
    context: &Context,
) -> Result<(), Failure> {
    let pages = reference::man_pages(command)
        .map_err(|error| Failure::Local(format!("Can't generate the pages: {error}.")))?;
    match &args.dir {
        Some(dir) => pages.iter().try_for_each(|(name, page)| {
            let path = dir.join(name);
            std::fs::write(&path, page).map_err(|error| {
                Failure::Local(format!("Can't write {}: {error}.", path.display()))
            })
        }),
        None => pages
            .iter()
            .filter(|(name, _)| name == "m2.1")
            .try_for_each(|(_, page)| context.out.raw(page)),
    }
}
