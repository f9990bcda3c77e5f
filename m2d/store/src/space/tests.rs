use super::super::tests::scratch;
use super::super::{Gone, PageSize, StoreFile, migrations};
use super::*;
use crate::{ContactRowId, MessageRowId};
use m2_crypto::Secret;

const CONTACT: ContactRowId = ContactRowId::new(1);

const ONE: PageSize = PageSize { rows: 1, bytes: 1 };
const KEY: [u8; 32] = [7; 32];

fn fill(connection: &Connection) {
    connection
        .execute_batch(
            "BEGIN;
             INSERT INTO contacts(row, peer_id, name, state, created_ms)
               VALUES (1, zeroblob(32), 'bob', 3, 0);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO messages(id, contact, kind, own, state, author_ms, stored_ms, hash, content)
               SELECT randomblob(16), 1, 0, 0, 4, 1, 1, zeroblob(32), randomblob(3000) FROM n;
             COMMIT;",
        )
        .unwrap();
}

#[test]
fn the_file_shrinks_in_steps() {
    let (dir, store) = scratch();
    fill(&store.connection);
    assert!(store.empty_log().unwrap());
    let size = || fs::metadata(dir.path().join("store.db")).unwrap().len();
    let full = size();
    let reader = StoreFile::new(dir.path(), Secret::new(KEY))
        .open_reader()
        .unwrap();
    store.begin().unwrap();
    for row in 1..=2_000 {
        store
            .erase_message(MessageRowId::new(row), Gone::Retracted)
            .unwrap();
    }
    store.commit().unwrap();
    assert_eq!(store.usage_of(CONTACT).unwrap().received_bytes, 0);
    assert_eq!(store.usage_of(CONTACT).unwrap().received, 2_000);
    let mut steps = 1;
    while store.give_back(64).unwrap() {
        steps += 1;
        // Not read to its end.
        assert_eq!(
            reader
                .history(CONTACT, MessageRowId::new(i64::MAX), ONE)
                .unwrap()
                .messages
                .len(),
            1
        );
    }
    assert!(steps > 10, "{steps} steps");
    assert!(store.empty_log().unwrap());
    let spare = u64::from(SPARE_PAGES) * 4_096;
    assert!(size() < full / 5 + spare, "{full} bytes became {}", size());
    assert!(!store.give_back(64).unwrap());
}

/// Creates a store as versions did before auto_vacuum was set.
fn old_store(dir: &Path) -> StoreFile {
    let file = StoreFile::new(dir, Secret::new(KEY));
    let flags =
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = file.connect(flags).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL")
        .unwrap();
    migrations::run_up_to(&mut connection, 5).unwrap();
    fill(&connection);
    let queued =
        "INSERT INTO outbox(message, contact, id, sequence, epoch, state, queued_ms, hash, sealed)
                  SELECT row, 1, id, row, 1, 1, 1, hash, x'00' FROM messages WHERE row <= 7";
    connection.execute_batch(queued).unwrap();
    file
}

#[test]
fn an_old_store_is_copied_once_with_its_complete_content() {
    let dir = tempfile::tempdir().unwrap();
    let file = old_store(dir.path());
    // The leftover of an earlier attempt that was killed.
    fs::write(file.copy_path(), b"half a copy").unwrap();
    let store = file.open().unwrap();
    assert_eq!(store.pragma::<i64>("auto_vacuum").unwrap(), INCREMENTAL);
    assert_eq!(store.pragma::<String>("journal_mode").unwrap(), "wal");
    assert!(!file.copy_path().exists());
    let usage = store.usage_of(CONTACT).unwrap();
    let counted = (usage.queued, usage.received, usage.received_bytes);
    assert_eq!(counted, (7, 2_000, 6_000_000));
    // The triggers were copied.
    store
        .connection
        .execute_batch("DELETE FROM outbox WHERE message = 3")
        .unwrap();
    assert_eq!(store.usage_of(CONTACT).unwrap().queued, 6);
    drop(store);
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&file.path);
    drop(file.open().unwrap());
    assert_eq!(inode(&file.path), before, "copied twice");
}

#[test]
fn an_old_store_that_cannot_be_copied_opens_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = old_store(dir.path());
    // A directory in place of the copy.
    fs::create_dir(file.copy_path()).unwrap();
    fs::write(file.copy_path().join("x"), b"").unwrap();
    let store = file.open().unwrap();
    assert_eq!(store.pragma::<i64>("auto_vacuum").unwrap(), 0);
    assert_eq!(store.usage_of(CONTACT).unwrap().received, 2_000);
    assert!(!store.give_back(64).unwrap());
}
