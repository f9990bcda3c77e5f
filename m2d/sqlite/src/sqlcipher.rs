//! SQLCipher files: keys and permissions (docs/spec/storage.md#the-key-of-the-store).

use m2_crypto::Secret;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Once;
use zeroize::Zeroizing;

/// Pages are authenticated with HMAC-SHA-256, for which processors have instructions, instead of
/// SQLCipher's default HMAC-SHA-512, which took a fifth of the time spent on each message. Logging
/// to standard error is off: the callers' errors report a wrong key.
const PRAGMAS: &str = "PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA cipher_log_level = NONE;";

static INITIALISED: Once = Once::new();

/// Opens a connection that [`unlock`] can key.
///
/// SQLite reports that it is initialised before SQLCipher is. If several threads opened their first
/// files at the same moment, all but one could fail to use their keys. Here the first thread
/// initialises both, and the others wait for it.
///
/// Errors: the file can't be opened.
pub fn open(path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    INITIALISED.call_once(|| {
        // If it fails, so does the next line, with the reason.
        let _ = Connection::open_in_memory();
    });
    Connection::open_with_flags(path, flags)
}

/// Keys a connection with a raw 256-bit key. The key is random, so there is no passphrase
/// derivation. A wrong key is detected at the first read.
pub fn unlock(connection: &Connection, key: &Secret<32>) -> Result<(), rusqlite::Error> {
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key.expose()));
    let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", hex.as_str()));
    connection.execute_batch(&pragma)?;
    connection.execute_batch(PRAGMAS)
}

/// Attaches another file that is encrypted under a raw key with the same cipher settings.
pub fn attach(
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
pub fn restrict_to_user(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

/// Does nothing: only the permissions of the directory protect the file on this system.
#[cfg(not(unix))]
pub fn restrict_to_user(_path: &Path) {}
