//! Backup files on disk: writing, opening, and checking them, including the store inside
//! (docs/spec/backup.md). The format itself is in `m2_crypto::backup`.
//!
//! The daemon writes with a [`BackupWriter`]. A reader uses a [`BackupReader`], whose
//! [`BackupReader::extract`] writes the store to a file and checks it. No file ever contains
//! plaintext: the store inside is encrypted under its own key.

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
