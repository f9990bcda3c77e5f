//! Keying of SQLite files under SQLCipher (docs/spec/storage.md#the-key-of-the-store).

use m2_crypto::Secret;
use rusqlite::Connection;
use zeroize::Zeroizing;

/// Pages are authenticated with HMAC-SHA-256, for which processors have instructions, instead of
/// SQLCipher's default HMAC-SHA-512, which took a fifth of the time spent on each message. Logging
/// to standard error is off: the callers' errors report a wrong key.
const PRAGMAS: &str = "PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA cipher_log_level = NONE;";

/// Keys a connection with a raw 256-bit key. The key is random, so there is no passphrase
/// derivation. A wrong key is detected at the first read.
pub fn unlock(connection: &Connection, key: &Secret<32>) -> Result<(), rusqlite::Error> {
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key.expose()));
    let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", hex.as_str()));
    connection.execute_batch(&pragma)?;
    connection.execute_batch(PRAGMAS)
}
