#![doc = include_str!("../README.md")]

mod error;
pub mod exposure;
pub mod private;
mod reader;
mod store;
mod writer;

pub use error::FileError;
pub use m2_crypto::backup::{BackupError, Contents, Lock};
pub use reader::{BackupReader, LockedBackup, sha256, verify};
pub use store::{StoreFacts, check_store};
pub use writer::BackupWriter;
