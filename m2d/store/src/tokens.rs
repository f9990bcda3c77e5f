//! Deposit tokens: those that were given to contacts, with the seeds of their one-time keys, and those
//! that contacts gave (docs/spec/mailbox.md#tokens).

use super::{Store, StoreError, int};
use crate::{BoxRowId, ContactRowId};
use m2_crypto::Secret;
use m2_crypto::deposit::{DepositNonce, DepositToken, Period};
use m2_crypto::one_time_key::{OneTimePublicKey, OneTimeSeed};
use m2_wire::mailbox::{Series, TokenWithKey};
use rusqlite::{OptionalExtension, Row};

/// The most tokens of a contact that have ended and whose seeds are kept for letters that wait.
const MAX_ENDED: u32 = 64;

/// The state of a token that was given to a contact. The numbers are values of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum IssuedState {
    /// It was sent.
    Given = 1,
    /// The contact has stored it.
    Confirmed = 2,
    /// It admits no letter any more. Its seed is kept for a letter that waits.
    Ended = 3,
}

/// A token that was given to a contact.
#[derive(Debug, Clone)]
pub struct IssuedRow {
    /// The nonce of the token.
    pub nonce: DepositNonce,
    /// The row of the contact.
    pub contact: ContactRowId,
    /// The row of the box.
    pub mailbox: BoxRowId,
    /// The period of the token.
    pub period: Period,
    /// The seed of the one-time key.
    pub seed: OneTimeSeed,
    /// The state of the token.
    pub state: IssuedState,
}

/// The tokens of a contact that it can still use, for one box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outstanding {
    /// The row of the box.
    pub mailbox: BoxRowId,
    /// The number of tokens.
    pub count: u32,
}

const ISSUED: &str = "nonce, contact, mailbox, period, seed, state";

/// Tokens that were given to contacts.
impl Store {
    /// Inserts a token before it is given to its contact. The seed is erased with its period.
    pub fn insert_issued(&self, issued: &IssuedRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT INTO issued_tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute((
                issued.nonce.as_bytes(),
                issued.contact,
                issued.mailbox,
                issued.period.number(),
                &issued.seed.expose()[..],
                issued.state as i64,
                int(issued.period.key_kept_until_s()),
            ))?;
        Ok(())
    }

    /// Returns the token with a nonce, if its letter was not taken and its seed is not erased.
    pub fn issued(&self, nonce: &DepositNonce) -> Result<Option<IssuedRow>, StoreError> {
        let query = format!("SELECT {ISSUED} FROM issued_tokens WHERE nonce = ?1");
        let mut statement = self.connection.prepare_cached(&query)?;
        let mut rows = statement.query([nonce.as_bytes()])?;
        rows.next()?.map(parse_issued).transpose()
    }

    /// Returns the tokens of a contact that it has not confirmed yet.
    pub fn unconfirmed(&self, contact: ContactRowId) -> Result<Vec<IssuedRow>, StoreError> {
        let query = format!("SELECT {ISSUED} FROM issued_tokens WHERE contact = ?1 AND state = 1");
        let mut statement = self.connection.prepare_cached(&query)?;
        let mut rows = statement.query([contact])?;
        let mut unconfirmed = Vec::new();
        while let Some(row) = rows.next()? {
            unconfirmed.push(parse_issued(row)?);
        }
        Ok(unconfirmed)
    }

    /// Returns how many tokens a contact has for each box that are neither collected nor past their
    /// validity at `now_s`, Unix time in seconds.
    pub fn outstanding(
        &self,
        contact: ContactRowId,
        now_s: u64,
    ) -> Result<Vec<Outstanding>, StoreError> {
        // The oldest period that is still valid.
        let oldest = Period::at(now_s).number().saturating_sub(1);
        let mut statement = self.connection.prepare_cached(
            "SELECT mailbox, count(*) FROM issued_tokens
             WHERE contact = ?1 AND state < 3 AND period >= ?2 GROUP BY mailbox",
        )?;
        let rows = statement.query_map((contact, oldest), |row| {
            Ok(Outstanding {
                mailbox: row.get(0)?,
                count: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns whether a contact was given tokens for a box that have not ended.
    pub fn has_issued(&self, contact: ContactRowId, mailbox: BoxRowId) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM issued_tokens
             WHERE contact = ?1 AND mailbox = ?2 AND state < 3 LIMIT 1";
        let mut statement = self.connection.prepare_cached(query)?;
        Ok(statement.exists((contact, mailbox))?)
    }

    /// Records that a contact has stored a token.
    pub fn confirm_issued(
        &self,
        contact: ContactRowId,
        nonce: &DepositNonce,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE issued_tokens SET state = 2 WHERE nonce = ?2 AND contact = ?1 AND state = 1",
            )?
            .execute((contact, nonce.as_bytes()))?;
        Ok(())
    }

    /// Erases a token and its seed. Returns whether the contact had it.
    pub fn erase_issued(
        &self,
        contact: ContactRowId,
        nonce: &DepositNonce,
    ) -> Result<bool, StoreError> {
        let erased = self
            .connection
            .prepare_cached("DELETE FROM issued_tokens WHERE nonce = ?2 AND contact = ?1")?
            .execute((contact, nonce.as_bytes()))?;
        Ok(erased > 0)
    }

    /// Erases all tokens of a contact and their seeds.
    pub fn erase_issued_to(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM issued_tokens WHERE contact = ?1")?
            .execute([contact])?;
        Ok(())
    }

    /// Ends the tokens of a contact for a box. Their seeds are kept until `until_s`, Unix time in seconds,
    /// for letters that wait: at most 64 of the contact, the last to be erased.
    pub fn end_issued(
        &self,
        contact: ContactRowId,
        mailbox: BoxRowId,
        until_s: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE issued_tokens SET state = 3, until_s = min(until_s, ?3)
                 WHERE contact = ?1 AND mailbox = ?2 AND state < 3",
            )?
            .execute((contact, mailbox, int(until_s)))?;
        self.connection
            .prepare_cached(
                "DELETE FROM issued_tokens WHERE nonce IN (
                   SELECT nonce FROM issued_tokens WHERE contact = ?1 AND state = 3
                   ORDER BY until_s DESC LIMIT -1 OFFSET ?2)",
            )?
            .execute((contact, MAX_ENDED))?;
        Ok(())
    }

    /// Erases the seeds that are kept no longer than `now_s`, Unix time in seconds, and the tokens of
    /// contacts that have ended.
    pub fn erase_ended_tokens(&self, now_s: u64) -> Result<(), StoreError> {
        for table in ["issued_tokens", "held_tokens"] {
            let delete = format!("DELETE FROM {table} WHERE until_s <= ?1");
            let mut delete = self.connection.prepare_cached(&delete)?;
            delete.execute([int(now_s)])?;
        }
        Ok(())
    }

    /// Returns when the next seed or token ends, Unix time in seconds.
    pub fn next_token_end_s(&self) -> Result<Option<u64>, StoreError> {
        let next: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(until_s) FROM (SELECT min(until_s) AS until_s FROM issued_tokens
                 UNION ALL SELECT min(until_s) FROM held_tokens)",
            )?
            .query_row([], |row| row.get(0))?;
        Ok(next.map(|end| u64::try_from(end).unwrap_or(0)))
    }

    /// Returns how many tokens a contact was given on a UTC day, counted from 1970-01-01.
    pub fn tokens_of_day(&self, contact: ContactRowId, day: u64) -> Result<u32, StoreError> {
        let query = "SELECT count FROM tokens_of_day WHERE contact = ?1 AND day = ?2";
        let mut statement = self.connection.prepare_cached(query)?;
        let count = statement.query_row((contact, int(day)), |row| row.get(0));
        Ok(count.optional()?.unwrap_or(0))
    }

    /// Records how many tokens a contact was given on a UTC day.
    pub fn put_tokens_of_day(
        &self,
        contact: ContactRowId,
        day: u64,
        count: u32,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO tokens_of_day VALUES (?1, ?2, ?3)")?
            .execute((contact, int(day), count))?;
        Ok(())
    }

    /// Counts a letter that was taken from a contact.
    pub fn count_taken_letter(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO letters_taken VALUES (?1, 1)
                 ON CONFLICT(contact) DO UPDATE SET count = count + 1",
            )?
            .execute([contact])?;
        Ok(())
    }

    /// Returns the number of letters that were taken from a contact.
    pub fn taken_letters(&self, contact: ContactRowId) -> Result<u32, StoreError> {
        let count = self
            .connection
            .prepare_cached("SELECT count FROM letters_taken WHERE contact = ?1")?
            .query_row([contact], |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(count.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)))
    }
}

/// Tokens that contacts gave.
impl Store {
    /// Stores a token of a contact, unless it is known. Returns false if the contact has `most` unused
    /// tokens already.
    pub fn hold_token(
        &self,
        contact: ContactRowId,
        series: Series,
        given: &TokenWithKey,
        most: u32,
    ) -> Result<bool, StoreError> {
        let nonce = given.token.nonce().as_bytes();
        let known = self
            .connection
            .prepare_cached("SELECT 1 FROM held_tokens WHERE contact = ?1 AND nonce = ?2")?
            .exists((contact, nonce))?;
        if known {
            return Ok(true);
        }
        if self.unused_tokens(contact)? >= most {
            return Ok(false);
        }
        self.connection
            .prepare_cached("INSERT INTO held_tokens VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, 0)")?
            .execute((
                contact,
                nonce,
                series.0,
                given.token.to_bytes(),
                given.key.to_bytes(),
                int(given.token.period().valid_until_s()),
            ))?;
        Ok(true)
    }

    /// Returns how many unused tokens of a contact no planned letter needs.
    pub fn tokens_to_spare(&self, contact: ContactRowId) -> Result<u32, StoreError> {
        let planned: u32 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM letters_out WHERE contact = ?1 AND sealed IS NULL",
            )?
            .query_row([contact], |row| row.get(0))?;
        Ok(self.unused_tokens(contact)?.saturating_sub(planned))
    }

    /// Returns how many unused tokens a contact gave.
    pub fn unused_tokens(&self, contact: ContactRowId) -> Result<u32, StoreError> {
        let query = "SELECT count(*) FROM held_tokens WHERE contact = ?1 AND state = 1";
        let mut statement = self.connection.prepare_cached(query)?;
        Ok(statement.query_row([contact], |row| row.get(0))?)
    }

    /// Returns whether a contact gave an unused token of a series.
    pub fn has_token(&self, contact: ContactRowId, series: Series) -> Result<bool, StoreError> {
        let query =
            "SELECT 1 FROM held_tokens WHERE contact = ?1 AND series = ?2 AND state = 1 LIMIT 1";
        let mut statement = self.connection.prepare_cached(query)?;
        Ok(statement.exists((contact, series.0))?)
    }

    /// Takes an unused token of a series, a random one of the oldest period: in the order of their nonces,
    /// tokens would tell the provider that they belong together. It stays known, so that it is used once.
    pub fn use_token(
        &self,
        contact: ContactRowId,
        series: Series,
    ) -> Result<Option<TokenWithKey>, StoreError> {
        let query = "SELECT token, key FROM held_tokens
             WHERE contact = ?1 AND series = ?2 AND state = 1 ORDER BY until_s, random() LIMIT 1";
        let found: Option<(Vec<u8>, Vec<u8>)> = self
            .connection
            .prepare_cached(query)?
            .query_row((contact, series.0), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((token, key)) = found else {
            return Ok(None);
        };
        let corrupt = || StoreError::Corrupt("token");
        let given = TokenWithKey {
            token: DepositToken::from_bytes(&token).ok_or_else(corrupt)?,
            key: OneTimePublicKey::from_bytes(&key).map_err(|_| corrupt())?,
        };
        self.set_held(contact, given.token.nonce(), (2, 0))?;
        Ok(Some(given))
    }

    /// Records that a token is given up at `now_s`, Unix time in seconds: it must not be used, and its giver
    /// is told.
    pub fn give_up_token(
        &self,
        contact: ContactRowId,
        nonce: &DepositNonce,
        now_s: u64,
    ) -> Result<(), StoreError> {
        self.set_held(contact, nonce, (3, now_s))
    }

    /// Records that the letter of a token was deposited at `now_s`, Unix time in seconds.
    pub fn spend_token(
        &self,
        contact: ContactRowId,
        nonce: &DepositNonce,
        now_s: u64,
    ) -> Result<(), StoreError> {
        self.set_held(contact, nonce, (4, now_s))
    }

    /// Gives up, at `now_s`, the tokens of letters to a contact that can't be taken any more: those that
    /// were deposited before `expired_s` and have left their box, and those that were sealed and are not
    /// there any more, although their deposit was not confirmed, as their messages were acknowledged or
    /// deleted. Times are Unix times in seconds.
    pub fn give_up_lost_tokens(
        &self,
        contact: ContactRowId,
        now_s: u64,
        expired_s: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE held_tokens SET state = 3, used_s = ?2 WHERE contact = ?1
                   AND (state = 4 AND used_s < ?3 OR state = 2
                     AND token NOT IN (SELECT token FROM letters_out
                                       WHERE contact = ?1 AND token IS NOT NULL))",
            )?
            .execute((contact, int(now_s), int(expired_s)))?;
        Ok(())
    }

    /// Deletes the tokens of all contacts.
    pub fn drop_all_tokens(&self) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM held_tokens")?
            .execute([])?;
        Ok(())
    }

    fn set_held(
        &self,
        contact: ContactRowId,
        nonce: &DepositNonce,
        (state, used_s): (i64, u64),
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE held_tokens SET state = ?3, used_s = ?4, key = NULL
                 WHERE contact = ?1 AND nonce = ?2",
            )?
            .execute((contact, nonce.as_bytes(), state, int(used_s)))?;
        Ok(())
    }

    /// Returns up to `limit` tokens of a contact that were given up, the last ones first.
    pub fn given_up_tokens(
        &self,
        contact: ContactRowId,
        limit: usize,
    ) -> Result<Vec<DepositNonce>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT nonce FROM held_tokens WHERE contact = ?1 AND state = 3
             ORDER BY used_s DESC LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map((contact, limit), |row| row.get(0))?;
        let nonces = rows.map(|row| row.map(DepositNonce::from_bytes));
        Ok(nonces.collect::<Result<_, _>>()?)
    }

    /// Returns the series of which a contact gave tokens that are known.
    pub fn held_series(&self, contact: ContactRowId) -> Result<Vec<Series>, StoreError> {
        let query = "SELECT DISTINCT series FROM held_tokens WHERE contact = ?1";
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map([contact], |row| row.get(0).map(Series))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Deletes the tokens of a contact of all series but these.
    pub fn drop_tokens_but(
        &self,
        contact: ContactRowId,
        series: &[Series],
    ) -> Result<(), StoreError> {
        for held in self.held_series(contact)? {
            if !series.contains(&held) {
                self.connection
                    .prepare_cached("DELETE FROM held_tokens WHERE contact = ?1 AND series = ?2")?
                    .execute((contact, held.0))?;
            }
        }
        Ok(())
    }
}

fn parse_issued(row: &Row<'_>) -> Result<IssuedRow, StoreError> {
    let corrupt = || StoreError::Corrupt("token");
    let seed = row.get_ref(4)?.as_blob().map_err(|_| corrupt())?;
    let seed = Secret::from_slice(seed).ok_or_else(corrupt)?;
    Ok(IssuedRow {
        nonce: DepositNonce::from_bytes(row.get(0)?),
        contact: row.get(1)?,
        mailbox: row.get(2)?,
        period: Period::new(row.get(3)?),
        seed: OneTimeSeed::new(seed),
        state: match row.get(5)? {
            1 => IssuedState::Given,
            2 => IssuedState::Confirmed,
            3 => IssuedState::Ended,
            _ => return Err(corrupt()),
        },
    })
}
