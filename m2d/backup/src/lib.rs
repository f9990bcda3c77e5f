//! Backup files on disk: how they are written, opened, and checked down to the store inside
//! (docs/spec/backup.md). The format itself is in `m2_crypto::backup`.
//!
//! The daemon writes with a [`BackupWriter`]. Whoever opens a file uses a [`BackupReader`], and
//! [`BackupReader::extract`] for the store, which is checked before it is handed out. Nothing
//! leaves a file in clear: the store inside is encrypted under a key of its own.

mod error;
pub mod private;
mod reader;
pub mod sqlcipher;
mod store;
mod writer;

pub use error::FileError;
pub use m2_crypto::backup::{BackupError, Contents, Lock};
pub use reader::{BackupReader, LockedBackup, sha256, verify};
pub use store::{StoreFacts, check_store};
pub use writer::BackupWriter;
