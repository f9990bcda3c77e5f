//! SQLite files under SQLCipher: who may open them (docs/spec/storage.md).

use std::path::Path;

pub(crate) use m2_backup::sqlcipher::unlock;

/// Lets nobody else read or write a file. The directory is 0700 already; this is the second lock.
#[cfg(unix)]
pub(crate) fn restrict_to_user(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

/// The directory's rights have to do.
#[cfg(not(unix))]
pub(crate) fn restrict_to_user(_path: &Path) {}
