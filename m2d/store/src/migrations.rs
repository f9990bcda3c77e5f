//! Numbered migrations. Each runs once, in order, in a separate transaction.

use super::StoreError;
use rusqlite::Connection;

/// Migration N is at index N - 1. A released migration must never be changed; add another one.
const MIGRATIONS: [&str; 17] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
    include_str!("migrations/0013.sql"),
    include_str!("migrations/0014.sql"),
    include_str!("migrations/0015.sql"),
    include_str!("migrations/0016.sql"),
    include_str!("migrations/0017.sql"),
];

/// Returns the number of the newest schema.
pub(super) const fn newest() -> u64 {
    MIGRATIONS.len() as u64
}

/// Migrates the store to the newest schema. Returns whether it had no schema before.
pub(super) fn run(connection: &mut Connection) -> Result<bool, StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(version).map_err(|_| StoreError::Corrupt("version"))?;
    if done > MIGRATIONS.len() {
        return Err(StoreError::TooNew);
    }
    run_from(connection, done, MIGRATIONS.len())
}

/// Creates a store with the schema of an earlier version.
#[cfg(test)]
pub(super) fn run_up_to(connection: &mut Connection, last: usize) -> Result<bool, StoreError> {
    run_from(connection, 0, last)
}

fn run_from(connection: &mut Connection, done: usize, last: usize) -> Result<bool, StoreError> {
    for (number, sql) in (1_i64..).zip(MIGRATIONS).take(last).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(done == 0)
}
