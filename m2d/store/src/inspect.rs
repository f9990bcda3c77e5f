//! Integrity checks of a store that change nothing.

use super::{Fault, Store, StoreError, StoreFile, migrations, read_first, room, unbits};
use m2_crypto::envelope::Grant;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs;

/// The size of a page in bytes.
const PAGE: u64 = 4096;

/// The maximum number of findings that one check reports.
const MOST: usize = 20;

/// A store that is opened only for inspection.
#[derive(Debug)]
pub struct Inspection<'a> {
    file: &'a StoreFile,
    store: Store,
}

/// The schema versions of the file and of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The version of the file.
    pub found: u64,
    /// The newest version that this program knows.
    pub known: u64,
}

/// The numbers of items in a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// The rows of contacts, including removed ones.
    pub contacts: usize,
    /// The message keys in use.
    pub grants: usize,
    /// The messages in the outbox.
    pub outbox: usize,
}

impl StoreFile {
    /// Opens the store for inspection.
    ///
    /// Errors: it can't be opened, or the key does not fit. Damage is not an error.
    pub fn inspect(&self) -> Result<Inspection<'_>, StoreError> {
        let connection = self.connect_to_inspect()?;
        if let Err(error) = read_first(&connection) {
            let error = self.explain_first(error);
            if error.fault() != Fault::Damaged {
                return Err(error);
            }
        }
        Ok(Inspection {
            store: Store::new(connection, self),
            file: self,
        })
    }

    /// Returns whether the key fits any page other than the first. If so, the first page is
    /// damaged.
    pub(super) fn fits_other_pages(&self) -> bool {
        let Ok(connection) = self.connect_to_inspect() else {
            return false;
        };
        let count = || -> rusqlite::Result<usize> {
            let mut statement = connection.prepare("PRAGMA cipher_integrity_check")?;
            let mut rows = statement.query([])?;
            let mut count = 0;
            while rows.next()?.is_some() {
                count += 1;
            }
            Ok(count)
        };
        let pages = fs::metadata(&self.path).map_or(0, |file| file.len() / PAGE);
        count().is_ok_and(|damaged| (damaged as u64) < pages)
    }

    /// Returns the size of the write-ahead log in bytes.
    pub fn log_bytes(&self) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        fs::metadata(log).map_or(0, |log| log.len())
    }

    /// Returns whether no file can be created next to the store. SQLite needs one for a store that may
    /// be in use.
    fn is_on_read_only_disk(&self) -> bool {
        let directory = self.path.parent();
        directory.is_some_and(|directory| !room::is_writable(directory))
    }

    fn connect_to_inspect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = if self.is_on_read_only_disk() && self.log_bytes() == 0 {
            self.connect_immutable(flags)?
        } else {
            self.connect_unread(flags)?
        };
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    }
}

impl Inspection<'_> {
    /// Returns the schema versions.
    pub fn schema(&self) -> Result<Schema, StoreError> {
        let query = "PRAGMA user_version";
        let found = self.store.connection.query_row(query, [], |row| row.get(0));
        Ok(Schema {
            found: unbits(found?),
            known: migrations::newest(),
        })
    }

    /// Returns the number of pages, computed from the file size if the database can't be read.
    pub fn pages(&self) -> u64 {
        let query = "PRAGMA page_count";
        let pages = self.store.connection.query_row(query, [], |row| row.get(0));
        let of_file = || fs::metadata(&self.file.path).map_or(0, |file| file.len() / PAGE);
        pages.map_or_else(|_| of_file(), unbits)
    }

    /// Lists pages that fail SQLCipher's authentication, one sentence each.
    pub fn damaged_pages(&self) -> Result<Vec<String>, StoreError> {
        // A connection that has read a damaged page, such as one of the schema, returns errors from
        // then on.
        list(
            &self.file.connect_to_inspect()?,
            "PRAGMA cipher_integrity_check",
        )
    }

    /// Lists faults of the trees and indexes, one sentence each.
    pub fn structure(&self) -> Result<Vec<String>, StoreError> {
        let mut faults = self.list("PRAGMA integrity_check(20)")?;
        faults.retain(|fault| fault != "ok");
        Ok(faults)
    }

    /// Lists tables that can't be read completely.
    pub fn unreadable_tables(&self) -> Result<Vec<String>, StoreError> {
        let query = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0";
        let connection = self.file.connect_to_inspect()?;
        let mut statement = connection.prepare(query)?;
        let names = statement.query_map([], |row| row.get(0))?;
        let names = names.collect::<Result<Vec<String>, _>>()?;
        Ok(names
            .into_iter()
            .filter(|table| !self.is_readable(table).unwrap_or(false))
            .collect())
    }

    /// Opens a connection for each table, because a connection that has read a damaged page returns
    /// errors from then on.
    fn is_readable(&self, table: &str) -> Result<bool, StoreError> {
        let connection = self.file.connect_to_inspect()?;
        let table = table.replace('"', "\"\"");
        let query = format!("PRAGMA integrity_check(\"{table}\")");
        let first: String = connection.query_row(&query, [], |row| row.get(0))?;
        Ok(first == "ok")
    }

    /// Lists rows that refer to missing rows, by table.
    pub fn broken_references(&self) -> Result<Vec<String>, StoreError> {
        self.list("SELECT \"table\" || ' refers to ' || parent FROM pragma_foreign_key_check")
    }

    /// Lists outbox entries whose message or contact does not exist.
    pub fn outbox(&self) -> Result<Vec<String>, StoreError> {
        self.list(
            "SELECT 'a message of the outbox that is not in the history' FROM outbox o
               WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.row = o.message AND m.id = o.id)
             UNION ALL
             SELECT 'a message of the outbox to a contact that is not there' FROM outbox o
               WHERE NOT EXISTS (SELECT 1 FROM contacts c WHERE c.row = o.contact)",
        )
    }

    /// Reads and parses everything that the daemon reads at its start and in sessions. Returns the
    /// counts.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        let store = &self.store;
        store.invitations()?;
        store.lines()?;
        store.mailboxes()?;
        let mut contents = Contents::default();
        for contact in store.contacts()? {
            store.addresses(contact.row)?;
            store.contact_lines(contact.row)?;
            store.offers(contact.row)?;
            store.lookup_secrets(contact.row)?;
            let saved = store.saved_conversation(contact.row)?;
            for row in &saved.peer_grants {
                Grant::parse(&row.grant).map_err(|_| StoreError::Corrupt("grant of a contact"))?;
            }
            contents.contacts += 1;
            contents.grants += saved.peer_grants.len();
            contents.outbox += saved.outbox.len();
        }
        Ok(contents)
    }

    fn list(&self, query: &str) -> Result<Vec<String>, StoreError> {
        list(&self.store.connection, query)
    }
}

fn list(connection: &Connection, query: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.take(MOST).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::Secret;
    use std::path::Path;

    const PAGE: usize = super::PAGE as usize;

    /// Returns a closed store with several pages.
    fn filled(dir: &Path) -> StoreFile {
        let file = StoreFile::new(dir, Secret::new([7; 32]));
        let store = file.open().unwrap();
        store.begin().unwrap();
        for number in 0..400 {
            store
                .set_number(&format!("number {number}"), number)
                .unwrap();
        }
        store.commit().unwrap();
        store.close().unwrap();
        file
    }

    /// Reads and writes like the daemon. Returns the first error.
    fn use_it(file: &StoreFile) -> Result<(), StoreError> {
        let store = file.open()?;
        store.latest_time()?;
        store.contacts()?;
        for number in 0..400 {
            store.number(&format!("number {number}"))?;
        }
        store.begin()?;
        for number in 0..400 {
            store.set_number(&format!("number {number}"), number + 1)?;
        }
        store.commit()?;
        Ok(())
    }

    /// Damages one bit of each page in turn.
    #[test]
    fn a_damaged_page_is_always_reported_as_damage() {
        let dir = tempfile::tempdir().unwrap();
        let file = filled(dir.path());
        let whole = fs::read(file.path()).unwrap();
        let mut told = 0;
        for page in 0..whole.len() / PAGE {
            let mut damaged = whole.clone();
            damaged[page * PAGE + 2_000] ^= 1;
            fs::write(file.path(), &damaged).unwrap();
            if let Err(error) = use_it(&file) {
                assert_eq!(error.fault(), Fault::Damaged, "page {page}: {error:?}");
                told += 1;
            }
            for name in ["store.db-wal", "store.db-shm"] {
                let _ = fs::remove_file(dir.path().join(name));
            }
        }
        assert!(told > 5, "{told}");
    }

    #[test]
    fn the_check_finds_each_damaged_page_without_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = filled(dir.path());
        let whole = fs::read(file.path()).unwrap();
        let inspection = file.inspect().unwrap();
        assert_eq!(inspection.damaged_pages().unwrap(), Vec::<String>::new());
        assert_eq!(inspection.structure().unwrap(), Vec::<String>::new());
        assert_eq!(inspection.schema().unwrap().found, migrations::newest());
        inspection.contents().unwrap();
        drop(inspection);
        assert_eq!(fs::read(file.path()).unwrap(), whole);
        for page in 0..whole.len() / PAGE {
            let mut damaged = whole.clone();
            damaged[page * PAGE + 2_000] ^= 1;
            fs::write(file.path(), &damaged).unwrap();
            let found = file.inspect().unwrap().damaged_pages().unwrap();
            assert_eq!(found.len(), 1, "page {page}: {found:?}");
            assert!(found[0].contains(&(page + 1).to_string()), "{found:?}");
        }
    }

    #[test]
    fn a_store_whose_directory_cannot_be_written_is_read_whatever_its_name() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a b%41?mode=rwc#ü");
        fs::create_dir(&dir).unwrap();
        let file = filled(&dir);
        let files = || fs::read_dir(&dir).unwrap().count();
        let before = files();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = file.connect_immutable(flags).unwrap();
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(unbits(version), migrations::newest());
        assert_eq!(files(), before, "nothing is created");
    }
}
