//! The classification of faults of a store's file.

use m2_proto::reason::Reason;
use rusqlite::{Error, ErrorCode, ffi};

/// The fault of a store's file or of the disk that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no space: the disk is full, or a quota or a file size limit is reached.
    Full,
    /// The file or its file system can't be written.
    ReadOnly,
    /// A page fails its authentication, or a row holds data that no version of M2 writes.
    Damaged,
    /// The operating system reports an I/O error.
    Io,
    /// The key does not open the file.
    WrongKey,
    /// Anything else, such as a lock that another program holds.
    Other,
}

impl Fault {
    /// Returns the fault that an error of SQLite indicates.
    pub fn of_sqlite(error: &Error) -> Self {
        match error {
            Error::SqliteFailure(_, Some(text)) if is_unreadable_index(text) => Self::Damaged,
            Error::SqlInputError { msg, .. } if is_unreadable_index(msg) => Self::Damaged,
            Error::SqliteFailure(code, _) => Self::of_code(*code),
            // The types of the row do not match the schema.
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => Self::Damaged,
            _ => Self::Other,
        }
    }

    fn of_code(error: ffi::Error) -> Self {
        /// Errors for a file that is shorter than its pages or fails a checksum.
        const DAMAGED_READS: [i32; 3] = [
            ffi::SQLITE_IOERR_SHORT_READ,
            ffi::SQLITE_IOERR_DATA,
            ffi::SQLITE_IOERR_CORRUPTFS,
        ];
        match error.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged,
            // SQLite's pager also returns this code for a page that fails its authentication. On a
            // system without free memory the process is killed instead.
            ErrorCode::OutOfMemory => Self::Damaged,
            ErrorCode::SystemIoFailure if DAMAGED_READS.contains(&error.extended_code) => {
                Self::Damaged
            }
            ErrorCode::SystemIoFailure => Self::Io,
            _ => Self::Other,
        }
    }

    /// Returns the reason that front-ends get.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Full => Reason::DiskFull,
            Self::ReadOnly => Reason::StoreReadOnly,
            Self::Damaged => Reason::StoreDamaged,
            Self::Io => Reason::StoreIoError,
            Self::WrongKey => Reason::StoreWrongKey,
            Self::Other => Reason::StoreFailed,
        }
    }

    /// Returns the advice for a store that can't be opened: nothing runs that could try again.
    pub const fn at_start(self) -> &'static str {
        match self {
            Self::Full => "The disk that holds it is full. Make room, then start again.",
            Self::ReadOnly => {
                "The file or its file system is read-only. Make it writable, then start again."
            }
            Self::Damaged => {
                "It is damaged. Find out what is affected with `m2d check`, and restore a backup \
                 with `m2d restore`."
            }
            Self::Io => {
                "The disk that holds it reports errors. Look at the system's log, back up the data \
                 directory, and replace the disk."
            }
            Self::WrongKey => self.warning(),
            Self::Other => "Another program may use it, or its directory can't be written.",
        }
    }

    /// Returns the sentence for `m2 status`: the fault and the remedy.
    pub const fn warning(self) -> &'static str {
        match self {
            Self::Full => {
                "The disk that holds the data directory is full: nothing is stored, and messages \
                 from contacts wait with them. Make room; the daemon continues by itself."
            }
            Self::ReadOnly => {
                "The store can't be written: the file or its file system is read-only. Nothing is \
                 stored. Make it writable; the daemon continues by itself."
            }
            Self::Damaged => {
                "The store is damaged. Stop the daemon, find out what is affected with `m2d \
                 check`, and restore a backup with `m2d restore`."
            }
            Self::Io => {
                "The disk that holds the store reports errors: nothing is stored. Look at the \
                 system's log, back up the data directory, and replace the disk."
            }
            Self::WrongKey => {
                "The store does not open with this identity. Put back the identity.pem that \
                 belongs to it."
            }
            Self::Other => {
                "The store can't be written; the daemon tries again. Its log holds the error."
            }
        }
    }
}
/// Returns whether the search index can't be opened. SQLite reports this with the code of a
/// malformed statement, but the statements and the schema are known to be correct.
fn is_unreadable_index(text: &str) -> bool {
    text.starts_with("vtable constructor failed")
}
