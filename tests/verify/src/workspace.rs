//! Finds the workspace's directories.

use anyhow::bail;
use std::path::{Path, PathBuf};

/// Returns the top directory of the workspace, two levels above this package.
///
/// Errors: the sources from which this program was built are gone.
pub fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match root.canonicalize() {
        Ok(root) if root.join("Cargo.lock").is_file() => Ok(root),
        _ => bail!("run this from a clone of the repository"),
    }
}

/// Returns cargo's target directory: `CARGO_TARGET_DIR`, or `target` in the workspace.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
