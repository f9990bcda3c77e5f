//! The pages for operators as tests: every code block of a page is run, parsed or compared.
//!
//! A page is one session of a reader, Ben, on a machine of his own: an overlay of this machine's files in
//! namespaces, on a network with the machines of his contacts. `docs/dev/verification.md#code-blocks-of-the-pages`
//! says how blocks are marked.

mod artefacts;
mod block;
mod explained;
mod formats;
mod info;
mod machine;
mod needs;
mod network;
mod output;
mod report;
mod session;
mod step;

pub use block::{Block, Page};
pub use explained::unexplained;
pub use info::{Info, Kind, Place};
pub use report::{Outcome, Report};
pub use session::run;

use crate::workspace;
use anyhow::Context as _;
use std::fs;

/// Pages outside of `docs/operator` whose blocks are run too.
const FURTHER: [&str; 4] = [
    "README.md",
    "docs/quick-start.md",
    "clients/http/README.md",
    "clients/mcp/README.md",
];

/// Returns all pages whose blocks are run: those of `docs/operator`, and four more.
///
/// Errors: a page can't be read, or a block of it is not marked correctly.
pub fn all() -> anyhow::Result<Vec<Page>> {
    let root = workspace::root()?;
    let mut paths: Vec<String> = FURTHER.iter().map(|path| (*path).to_owned()).collect();
    for entry in fs::read_dir(root.join("docs/operator"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            paths.push(format!("docs/operator/{name}"));
        }
    }
    paths.sort();
    let parsed = paths.into_iter().map(|path| {
        let text = fs::read_to_string(root.join(&path)).with_context(|| path.clone())?;
        Page::parse(&path, &text)
    });
    parsed.collect()
}
