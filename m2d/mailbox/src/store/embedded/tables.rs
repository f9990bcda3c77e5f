//! The writer's operations on the tables. Each call runs inside the transaction of a batch.

use super::box_usage::BoxUsage;
use super::{file, keys, marks};
use crate::store::{
    Deposit, Deposited, Limits, MailboxError, Registered, Totals, due_hour, due_period, expiry_hour,
};
use m2_crypto::deposit::{BoxKey, DepositNonce, SpentMark, TokenVerifier};
use m2_crypto::{PeerId, Secret};
use rand_core::UnwrapErr;
use rusqlite::{Connection, params};

/// The writer's half of the store.
pub(super) struct Tables {
    connection: Connection,
    box_usage: BoxUsage,
    limits: Limits,
    salt: Secret<32>,
    verifier: TokenVerifier,
}

impl Tables {
    pub(super) fn open(connection: Connection, limits: Limits) -> Result<Self, MailboxError> {
        let salt = file::read_secret(&connection, file::SALT)?;
        let box_usage = BoxUsage::count(&connection)?;
        let mut tables = Self {
            connection,
            box_usage,
            limits,
            salt,
            verifier: TokenVerifier::new(&mut UnwrapErr(getrandom::SysRng)),
        };
        tables.clear_orphans()?;
        Ok(tables)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Counts again after a rollback, because the counts were updated before the commit.
    pub(super) fn recount(&mut self) -> Result<(), MailboxError> {
        self.box_usage = BoxUsage::count(&self.connection)?;
        Ok(())
    }

    pub(super) fn register_box(
        &mut self,
        owner: PeerId,
        key: BoxKey,
    ) -> Result<Registered, MailboxError> {
        if self.set_key(owner, &key)? {
            return Ok(Registered::AlreadyThere);
        }
        if self.box_usage.totals().boxes >= self.limits.boxes {
            return Ok(Registered::ServerFull);
        }
        let number = self.free_number()?;
        self.connection
            .prepare_cached("INSERT INTO boxes (number, owner, key) VALUES (?1, ?2, ?3)")?
            .execute(params![number, owner.as_bytes(), key.expose()])?;
        self.box_usage.open(owner, number, Some(key));
        Ok(Registered::New)
    }

    /// Sets the key of a box. Returns whether the box exists. Writes nothing if it has this key.
    pub(super) fn set_key(&mut self, owner: PeerId, key: &BoxKey) -> Result<bool, MailboxError> {
        let Some(owned) = self.box_usage.owned(&owner) else {
            return Ok(false);
        };
        if owned.key.as_ref() == Some(key) {
            return Ok(true);
        }
        let number = owned.number;
        self.connection
            .prepare_cached("UPDATE boxes SET key = ?1 WHERE number = ?2")?
            .execute(params![key.expose(), number])?;
        self.box_usage.open(owner, number, Some(key.clone()));
        Ok(true)
    }

    /// Removes the box from its owner. Returns the box number, under which letters and marks may
    /// remain.
    pub(super) fn close_box(&mut self, owner: PeerId) -> Result<Option<u32>, MailboxError> {
        let Some(number) = self.box_usage.number(&owner) else {
            return Ok(None);
        };
        self.connection
            .prepare_cached("DELETE FROM boxes WHERE number = ?1")?
            .execute([number])?;
        self.box_usage.close(&owner);
        Ok(Some(number))
    }

    /// Deletes up to `budget` letters and marks of a closed box. Returns whether it is empty.
    pub(super) fn empty_box(&mut self, number: u32, budget: usize) -> Result<bool, MailboxError> {
        let mut deleted = self.delete_some(
            "SELECT key, length(letter) FROM letters
             WHERE key >= ?1 << 40 AND key < (?1 + 1) << 40 LIMIT ?2",
            number,
            budget,
        )?;
        deleted += marks::delete_some(&self.connection, number, budget - deleted)?;
        if deleted < budget {
            self.box_usage.release(number);
        }
        Ok(deleted < budget)
    }

    pub(super) fn has_box(&self, owner: &PeerId) -> bool {
        self.box_usage.number(owner).is_some()
    }

    /// Stores a letter, if its token is valid and nothing was stored under its nonce. `mark` is the
    /// letter's spent mark: two letters under one nonce are the same if their marks are.
    pub(super) fn deposit(
        &mut self,
        deposit: &Deposit,
        mark: SpentMark,
        now_ms: u64,
    ) -> Result<Deposited, MailboxError> {
        let owned = self.box_usage.owned(&deposit.owner);
        let key = owned.and_then(|owned| owned.key.as_ref());
        let verified = self
            .verifier
            .verify(&deposit.owner, key, &deposit.token, now_ms / 1_000);
        let (Ok(()), Some(number)) = (verified, owned.map(|owned| owned.number)) else {
            return Ok(Deposited::Refused);
        };
        let nonce = deposit.token.nonce();
        let slot = self.find(number, &deposit.owner, nonce)?;
        let earlier = match slot {
            Slot::Taken { mark, .. } => Some(mark),
            _ => marks::find(&self.connection, self.place(number, &deposit.owner, nonce))?,
        };
        if let Some(earlier) = earlier {
            return Ok(if earlier == mark {
                Deposited::AlreadyThere
            } else {
                Deposited::Refused
            });
        }
        let size = deposit.letter.len() as u64;
        if let Some(full) = self.fullness(number, size)? {
            return Ok(full);
        }
        let Slot::Free(at) = slot else {
            return Ok(Deposited::BoxFull);
        };
        self.insert(at, deposit, mark, now_ms)?;
        self.box_usage.add(number, size);
        Ok(Deposited::Stored)
    }

    /// Replaces letters by their spent marks.
    pub(super) fn take(
        &mut self,
        owner: &PeerId,
        nonces: &[DepositNonce],
    ) -> Result<(), MailboxError> {
        let Some(number) = self.box_usage.number(owner) else {
            return Ok(());
        };
        for nonce in nonces {
            if let Slot::Taken { key, size, .. } = self.find(number, owner, nonce)? {
                let place = self.place(number, owner, nonce);
                if marks::write(&self.connection, place, key)? {
                    self.box_usage.add_mark(number);
                }
                self.delete(key, size)?;
            }
        }
        Ok(())
    }

    /// Deletes up to `budget` letters and marks that have expired. Returns their number.
    pub(super) fn purge(&mut self, now_ms: u64, budget: usize) -> Result<usize, MailboxError> {
        let letters = self.delete_some(
            "SELECT key, length(letter) FROM letters INDEXED BY letters_by_expiry
             WHERE expiry <= ?1 ORDER BY expiry LIMIT ?2",
            due_hour(now_ms),
            budget,
        )?;
        let Some(period) = due_period(now_ms / 1_000) else {
            return Ok(letters);
        };
        let due = marks::due(&self.connection, period, budget - letters)?;
        for place in &due {
            marks::delete(&self.connection, *place)?;
            self.box_usage.subtract_mark(keys::number_of(place.0));
        }
        Ok(letters + due.len())
    }

    pub(super) fn totals(&self) -> Totals {
        self.box_usage.totals()
    }

    /// Returns which limit another letter of `size` bytes would exceed. Each letter may leave a
    /// mark, so letters and marks count together against the bound of marks.
    fn fullness(&mut self, number: u32, size: u64) -> Result<Option<Deposited>, MailboxError> {
        let count = self.box_usage.get(number);
        let marks = self.marks(number)?;
        let fits = count.letters < self.limits.box_letters
            && count.letters.saturating_add(marks) < self.limits.box_spent
            && count.bytes.saturating_add(size) <= self.limits.box_bytes;
        if !fits {
            return Ok(Some(Deposited::BoxFull));
        }
        let total = self.box_usage.totals().bytes.saturating_add(size);
        Ok((total > self.limits.bytes).then_some(Deposited::ServerFull))
    }

    fn marks(&mut self, number: u32) -> Result<u64, MailboxError> {
        if let Some(count) = self.box_usage.get(number).marks {
            return Ok(count);
        }
        let count = marks::count(&self.connection, number)?;
        self.box_usage.set_marks(number, count);
        Ok(count)
    }

    fn free_number(&self) -> Result<u32, MailboxError> {
        loop {
            // A random number, because a counter would reveal which box is older.
            let number = u32::from_be_bytes(crate::store::random()?) >> (32 - keys::NUMBER_BITS);
            if number != 0 && !self.box_usage.is_taken(number) {
                return Ok(number);
            }
        }
    }

    fn insert(
        &self,
        key: i64,
        deposit: &Deposit,
        mark: SpentMark,
        now_ms: u64,
    ) -> Result<(), MailboxError> {
        self.connection
            .prepare_cached(
                "INSERT INTO letters (key, nonce, mark, period, expiry, letter)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key,
                deposit.token.nonce().as_bytes(),
                mark.as_bytes(),
                deposit.token.period().number(),
                expiry_hour(now_ms),
                &deposit.letter[..]
            ])?;
        Ok(())
    }

    fn find(
        &self,
        number: u32,
        owner: &PeerId,
        nonce: &DepositNonce,
    ) -> Result<Slot, MailboxError> {
        let base = keys::base(&self.salt, number, owner, nonce);
        let mut statement = self.connection.prepare_cached(
            "SELECT key, nonce, mark, length(letter) FROM letters
             WHERE key >= ?1 AND key < ?2 ORDER BY key",
        )?;
        let mut rows = statement.query([base, base + keys::PROBES])?;
        let mut free = base;
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            let taken = row.get_ref(1)?.as_blob().ok();
            if taken == Some(nonce.as_bytes().as_slice()) {
                let mark = marks::to_mark(row.get_ref(2)?)?;
                let size = row.get(3)?;
                return Ok(Slot::Taken { key, mark, size });
            }
            free += i64::from(free == key);
        }
        Ok(if free < base + keys::PROBES {
            Slot::Free(free)
        } else {
            Slot::Crowded
        })
    }

    /// Returns the place of the mark of a letter.
    fn place(&self, number: u32, owner: &PeerId, nonce: &DepositNonce) -> marks::Place {
        (keys::base(&self.salt, number, owner, nonce), *nonce)
    }

    fn delete(&mut self, key: i64, size: i64) -> Result<(), MailboxError> {
        self.connection
            .prepare_cached("DELETE FROM letters WHERE key = ?1")?
            .execute([key])?;
        let size = u64::try_from(size).map_err(|_| MailboxError::Corrupt("letter"))?;
        self.box_usage.subtract(keys::number_of(key), size);
        Ok(())
    }

    /// Deletes the letters that `query` returns for the parameters `which` and `budget`. Returns
    /// their number.
    fn delete_some(
        &mut self,
        query: &str,
        which: u32,
        budget: usize,
    ) -> Result<usize, MailboxError> {
        let limit = i64::try_from(budget).unwrap_or(i64::MAX);
        let found: Vec<(i64, i64)> = self
            .connection
            .prepare_cached(query)?
            .query_map(params![which, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for &(key, size) in &found {
            self.delete(key, size)?;
        }
        Ok(found.len())
    }

    fn clear_orphans(&mut self) -> Result<(), MailboxError> {
        for number in self.box_usage.orphans() {
            while !self.empty_box(number, 1000)? {}
        }
        Ok(())
    }
}

/// The location of a letter, or a free location for it.
enum Slot {
    /// The key of the letter, its mark and its length in bytes.
    Taken {
        key: i64,
        mark: SpentMark,
        size: i64,
    },
    Free(i64),
    Crowded,
}
