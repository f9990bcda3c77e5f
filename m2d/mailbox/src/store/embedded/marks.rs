//! The table of spent marks: one row for each letter that was taken, until its token can't be valid
//! any more.

use super::keys;
use crate::store::MailboxError;
use m2_crypto::deposit::{DepositNonce, Period, SpentMark};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

/// A spent mark's place: the first key at which its letter could be stored, and the nonce.
pub(super) type Place = (i64, DepositNonce);

/// Returns the numbers of all boxes that have marks.
pub(super) fn boxes(connection: &Connection) -> Result<Vec<u32>, MailboxError> {
    // One search in the tree for each box, in place of a scan of all marks.
    let query = "SELECT key FROM marks WHERE key >= ?1 ORDER BY key LIMIT 1";
    let mut next = connection.prepare(query)?;
    let mut numbers = Vec::new();
    loop {
        let after = numbers.last().map_or(0, |number| keys::range(*number).end);
        let key: Option<i64> = next.query_row([after], |row| row.get(0)).optional()?;
        match key {
            Some(key) => numbers.push(keys::number_of(key)),
            None => return Ok(numbers),
        }
    }
}

/// Returns the number of marks of a box.
pub(super) fn count(connection: &Connection, number: u32) -> Result<u64, MailboxError> {
    let keys = keys::range(number);
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM marks WHERE key >= ?1 AND key < ?2")?
        .query_row([keys.start, keys.end], |row| row.get(0))?;
    u64::try_from(count).map_err(|_| MailboxError::Corrupt("count"))
}

/// Returns the mark at a place.
pub(super) fn find(
    connection: &Connection,
    (key, nonce): Place,
) -> Result<Option<SpentMark>, MailboxError> {
    let query = "SELECT mark FROM marks WHERE key = ?1 AND nonce = ?2";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params![key, nonce.as_bytes()])?;
    let row = rows.next()?;
    row.map(|row| to_mark(row.get_ref(0)?)).transpose()
}

/// Writes the mark of the letter with the key `letter` to `place`. Returns false if that has a mark.
pub(super) fn write(
    connection: &Connection,
    (key, nonce): Place,
    letter: i64,
) -> Result<bool, MailboxError> {
    let written = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO marks (key, nonce, mark, period)
             SELECT ?1, ?2, mark, period FROM letters WHERE key = ?3",
        )?
        .execute(params![key, nonce.as_bytes(), letter])?;
    Ok(written > 0)
}

/// Returns the places of up to `budget` marks of periods up to `last`.
pub(super) fn due(
    connection: &Connection,
    last: Period,
    budget: usize,
) -> Result<Vec<Place>, MailboxError> {
    let limit = i64::try_from(budget).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT key, nonce FROM marks INDEXED BY marks_by_period
         WHERE period <= ?1 ORDER BY period LIMIT ?2",
    )?;
    let places = statement.query_map(params![last.number(), limit], |row| {
        Ok((row.get(0)?, DepositNonce::from_bytes(row.get(1)?)))
    })?;
    Ok(places.collect::<Result<_, _>>()?)
}

/// Deletes the mark at a place.
pub(super) fn delete(connection: &Connection, (key, nonce): Place) -> Result<(), MailboxError> {
    connection
        .prepare_cached("DELETE FROM marks WHERE key = ?1 AND nonce = ?2")?
        .execute(params![key, nonce.as_bytes()])?;
    Ok(())
}

/// Deletes up to `budget` marks of a box. Returns their number.
pub(super) fn delete_some(
    connection: &Connection,
    number: u32,
    budget: usize,
) -> Result<usize, MailboxError> {
    let limit = i64::try_from(budget).unwrap_or(i64::MAX);
    let keys = keys::range(number);
    let deleted = connection
        .prepare_cached(
            "DELETE FROM marks WHERE (key, nonce) IN
               (SELECT key, nonce FROM marks WHERE key >= ?1 AND key < ?2 LIMIT ?3)",
        )?
        .execute(params![keys.start, keys.end, limit])?;
    Ok(deleted)
}

/// Reads a mark from a column.
pub(super) fn to_mark(value: ValueRef<'_>) -> Result<SpentMark, MailboxError> {
    let bytes = value.as_blob().ok().and_then(|blob| blob.try_into().ok());
    let mark = bytes.map(SpentMark::from_bytes);
    mark.ok_or(MailboxError::Corrupt("spent mark"))
}
