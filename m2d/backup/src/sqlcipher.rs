//! SQLite files under SQLCipher: how they are keyed (docs/spec/storage.md#the-key-of-the-store).

use m2_crypto::Secret;
use rusqlite::Connection;
use zeroize::Zeroizing;

/// Pages are authenticated with HMAC-SHA-256, which processors compute themselves, rather than
/// SQLCipher's default HMAC-SHA-512, which was a fifth of all time spent on a message. What
/// SQLCipher would print to standard error on a wrong key, the callers' errors say.
const PRAGMAS: &str = "PRAGMA cipher_hmac_algorithm = HMAC_SHA256; PRAGMA cipher_log_level = NONE;";

/// Keys a connection with the raw 256-bit key: no passphrase derivation, the key is random enough.
/// The first read tells whether it fits.
pub fn unlock(connection: &Connection, key: &Secret<32>) -> Result<(), rusqlite::Error> {
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key.expose()));
    let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", hex.as_str()));
    connection.execute_batch(&pragma)?;
    connection.execute_batch(PRAGMAS)
}
