//! Where the workspace's files are.

use anyhow::bail;
use std::path::{Path, PathBuf};

/// The workspace's top directory: two above this package.
///
/// Errors: the sources that this was built from are gone.
pub fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match root.canonicalize() {
        Ok(root) if root.join("Cargo.lock").is_file() => Ok(root),
        _ => bail!("run this from a clone of the repository"),
    }
}

/// Where cargo puts what it builds.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
