//! SQLite files under SQLCipher: who may open them (docs/spec/storage.md).

use m2_crypto::Secret;
use rusqlite::Connection;
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) use m2_backup::sqlcipher::unlock;

/// Attaches another file under the same kind of key.
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

/// Lets nobody else read or write a file. The directory is 0700 already; this is the second lock.
#[cfg(unix)]
pub(crate) fn restrict_to_user(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

/// The directory's rights have to do.
#[cfg(not(unix))]
pub(crate) fn restrict_to_user(_path: &Path) {}
