//! The table of spent marks: one row for each letter that was taken, until its token can't be valid
//! any more.

use crate::store::MailboxError;
use m2_crypto::deposit::{DepositNonce, Period, SpentMark};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

/// A spent mark's place: the number of its box and the nonce.
pub(super) type Place = (u32, DepositNonce);

/// Returns the numbers of all boxes that have marks.
pub(super) fn boxes(connection: &Connection) -> Result<Vec<u32>, MailboxError> {
    // One search in the tree for each box, in place of a scan of all marks.
    let query = "SELECT box FROM marks WHERE box > ?1 ORDER BY box LIMIT 1";
    let mut next = connection.prepare(query)?;
    let mut numbers = Vec::new();
    loop {
        let last = numbers.last().copied().unwrap_or(0);
        let number: Option<u32> = next.query_row([last], |row| row.get(0)).optional()?;
        match number {
            Some(number) => numbers.push(number),
            None => return Ok(numbers),
        }
    }
}

/// Returns the number of marks of a box.
pub(super) fn count(connection: &Connection, number: u32) -> Result<u64, MailboxError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM marks WHERE box = ?1")?
        .query_row([number], |row| row.get(0))?;
    u64::try_from(count).map_err(|_| MailboxError::Corrupt("count"))
}

/// Returns the mark at a place.
pub(super) fn find(
    connection: &Connection,
    (number, nonce): Place,
) -> Result<Option<SpentMark>, MailboxError> {
    let query = "SELECT mark FROM marks WHERE box = ?1 AND nonce = ?2";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params![number, nonce.as_bytes()])?;
    let row = rows.next()?;
    row.map(|row| to_mark(row.get_ref(0)?)).transpose()
}

/// Writes the mark of the letter at `key` of the table of letters to `place`. Returns false if that
/// has a mark.
pub(super) fn write(
    connection: &Connection,
    (number, nonce): Place,
    key: i64,
) -> Result<bool, MailboxError> {
    let written = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO marks (box, nonce, mark, period)
             SELECT ?1, ?2, mark, period FROM letters WHERE key = ?3",
        )?
        .execute(params![number, nonce.as_bytes(), key])?;
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
        "SELECT box, nonce FROM marks INDEXED BY marks_by_period
         WHERE period <= ?1 ORDER BY period LIMIT ?2",
    )?;
    let places = statement.query_map(params![last.number(), limit], |row| {
        Ok((row.get(0)?, DepositNonce::from_bytes(row.get(1)?)))
    })?;
    Ok(places.collect::<Result<_, _>>()?)
}

/// Deletes the mark at a place.
pub(super) fn delete(connection: &Connection, (number, nonce): Place) -> Result<(), MailboxError> {
    connection
        .prepare_cached("DELETE FROM marks WHERE box = ?1 AND nonce = ?2")?
        .execute(params![number, nonce.as_bytes()])?;
    Ok(())
}

/// Deletes up to `budget` marks of a box. Returns their number.
pub(super) fn delete_some(
    connection: &Connection,
    number: u32,
    budget: usize,
) -> Result<usize, MailboxError> {
    let limit = i64::try_from(budget).unwrap_or(i64::MAX);
    let deleted = connection
        .prepare_cached(
            "DELETE FROM marks WHERE box = ?1
             AND nonce IN (SELECT nonce FROM marks WHERE box = ?1 LIMIT ?2)",
        )?
        .execute(params![number, limit])?;
    Ok(deleted)
}

/// Reads a mark from a column.
pub(super) fn to_mark(value: ValueRef<'_>) -> Result<SpentMark, MailboxError> {
    let bytes = value.as_blob().ok().and_then(|blob| blob.try_into().ok());
    let mark = bytes.map(SpentMark::from_bytes);
    mark.ok_or(MailboxError::Corrupt("spent mark"))
}
