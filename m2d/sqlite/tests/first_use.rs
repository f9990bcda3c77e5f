//! The first use of SQLCipher in a process. This is a test program of its own, as SQLCipher is
//! initialised once a process.

use m2_crypto::Secret;
use m2_sqlite::sqlcipher;
use rusqlite::OpenFlags;
use std::sync::Barrier;
use std::thread;

const THREADS: usize = 16;

#[test]
fn threads_that_open_files_at_the_same_moment_can_all_use_them() {
    let dir = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (path, barrier) = (dir.path().join(number.to_string()), &barrier);
            scope.spawn(move || {
                barrier.wait();
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                let connection = sqlcipher::open(&path, flags).unwrap();
                sqlcipher::unlock(&connection, &Secret::new([7; 32])).unwrap();
                connection.execute_batch("CREATE TABLE t(x)").unwrap();
            });
        }
    });
}
