//! SQLCipher files: keys and permissions (docs/spec/storage.md#the-key-of-the-store).

use m2_crypto::Secret;
use rusqlite::Connection;
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) use m2_backup::sqlcipher::unlock;

/// Attaches another file that is encrypted under a raw key with the same cipher settings.
pub(crate) fn attach(
    connection: &Connection,
    path: &Path,
    name: &'static str,
    key: &Secret<32>,
) -> Result<(), rusqlite::Error> {
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key.expose()));
    let key = Zeroizing::new(format!("x'{}'", hex.as_str()));
    let path = path.to_string_lossy();
    connection.execute(
        &format!("ATTACH DATABASE ?1 AS {name} KEY ?2"),
        (&*path, key.as_str()),
    )?;
    connection.execute_batch(&format!(
        "PRAGMA {name}.cipher_hmac_algorithm = HMAC_SHA256"
    ))
}

/// Restricts a file to its owner (mode 0600), as a second barrier: the directory already has mode
/// 0700.
#[cfg(unix)]
pub(crate) fn restrict_to_user(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

/// Does nothing: only the permissions of the directory protect the file on this system.
#[cfg(not(unix))]
pub(crate) fn restrict_to_user(_path: &Path) {}
