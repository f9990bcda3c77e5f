//! The contents record at the start of a backup's plaintext, before the store.

use super::BackupError;
use crate::peer_id::PeerId;
use crate::reader::Reader;
use crate::secret::Secret;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of the length field before the contents.
pub const CONTENTS_LENGTH_BYTES: usize = 4;

/// Maximum length of the contents, in bytes.
pub const MAX_CONTENTS_BYTES: usize = 32 * 1024;

/// Maximum length of the key file, in bytes.
const MAX_KEY_FILE_BYTES: usize = 16 * 1024;

/// The contents record of a backup: everything except the store.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents {
    /// When the backup was made, Unix time in milliseconds.
    pub created_ms: u64,
    /// The identity's peer id in its circle.
    pub peer_id: PeerId,
    /// The circle's name, at most 255 bytes.
    pub circle: String,
    /// The number of migrations applied to the store.
    pub schema: u32,
    /// Number of contacts that both sides have accepted.
    pub contacts: u64,
    /// Number of messages visible to front-ends.
    pub messages: u64,
    /// Size in bytes of the store, which follows the contents.
    pub store_bytes: u64,
    /// The store's key, so that the store can be checked with the backup's passphrase alone.
    pub store_key: Secret<32>,
    /// The identity's key file, unchanged from disk.
    pub key_file: Zeroizing<String>,
}

impl Contents {
    /// Encodes the plaintext that precedes the store: the length field, then the contents.
    ///
    /// Errors: [`BackupError::Damaged`] if the circle's name or the key file is too long.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let circle = u8::try_from(self.circle.len()).map_err(|_| BackupError::Damaged)?;
        let key_file = u16::try_from(self.key_file.len()).map_err(|_| BackupError::Damaged)?;
        if self.key_file.len() > MAX_KEY_FILE_BYTES {
            return Err(BackupError::Damaged);
        }
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_CONTENTS_BYTES));
        out.extend([0; CONTENTS_LENGTH_BYTES]);
        out.extend(self.created_ms.to_be_bytes());
        out.extend(self.peer_id.as_bytes());
        out.push(circle);
        out.extend(self.circle.as_bytes());
        out.extend(self.schema.to_be_bytes());
        for number in [self.contacts, self.messages, self.store_bytes] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.store_key.expose());
        out.extend(key_file.to_be_bytes());
        out.extend(self.key_file.as_bytes());
        // Far below 4 GiB: every field is bounded.
        let length = (out.len() - CONTENTS_LENGTH_BYTES) as u32;
        for (byte, value) in out.iter_mut().zip(length.to_be_bytes()) {
            *byte = value;
        }
        Ok(out)
    }

    /// Parses the length field.
    ///
    /// Errors: [`BackupError::Damaged`] above [`MAX_CONTENTS_BYTES`].
    pub fn parse_length(bytes: [u8; CONTENTS_LENGTH_BYTES]) -> Result<usize, BackupError> {
        let length = u32::from_be_bytes(bytes) as usize;
        if length > MAX_CONTENTS_BYTES {
            return Err(BackupError::Damaged);
        }
        Ok(length)
    }

    /// Parses the contents, without their length field.
    ///
    /// Errors: [`BackupError::Damaged`] if the layout is not exact.
    pub fn parse(bytes: &[u8]) -> Result<Self, BackupError> {
        Self::read(bytes).ok_or(BackupError::Damaged)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let created_ms = reader.u64()?;
        let peer_id = PeerId::from_bytes(reader.array()?);
        let circle_bytes = usize::from(reader.u8()?);
        let circle = text(reader.slice(circle_bytes)?)?.to_owned();
        let schema = reader.u32()?;
        let (contacts, messages, store_bytes) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let store_key = Secret::new(reader.array()?);
        let key_file_bytes = usize::from(reader.u16()?);
        if key_file_bytes > MAX_KEY_FILE_BYTES {
            return None;
        }
        let key_file = Zeroizing::new(text(reader.slice(key_file_bytes)?)?.to_owned());
        reader.end()?;
        Some(Self {
            created_ms,
            peer_id,
            circle,
            schema,
            contacts,
            messages,
            store_bytes,
            store_key,
            key_file,
        })
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contents(..)")
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
