//! The writer's operations on the tables. Each call runs inside the transaction of a batch.

use super::box_usage::BoxUsage;
use crate::store::{
    Deposit, Deposited, LetterId, Limits, MailboxError, Registered, TokenHash, TokensAdded, Totals,
    due_hour, expiry_hour,
};
use m2_crypto::{PeerId, Secret, label};
use rusqlite::{Connection, OptionalExtension, params};

/// The size of a box number in bits. Together with 40 bits it forms a positive 64-bit key.
const NUMBER_BITS: u32 = 23;
const KEY_BITS: u32 = 40;

/// The number of adjacent keys at which a letter may be stored. Ids are hashed with a secret, so an
/// attacker can't cause collisions, and eight collisions at one key do not happen by chance.
const PROBES: i64 = 8;

/// The writer's half of the store.
pub(super) struct Tables {
    connection: Connection,
    box_usage: BoxUsage,
    limits: Limits,
    salt: Secret<32>,
}

impl Tables {
    pub(super) fn open(connection: Connection, limits: Limits) -> Result<Self, MailboxError> {
        let salt = read_salt(&connection)?;
        let box_usage = BoxUsage::count(&connection)?;
        let mut tables = Self {
            connection,
            box_usage,
            limits,
            salt,
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

    pub(super) fn register_box(&mut self, owner: PeerId) -> Result<Registered, MailboxError> {
        if self.box_usage.number(&owner).is_some() {
            return Ok(Registered::AlreadyThere);
        }
        if self.box_usage.totals().boxes >= self.limits.boxes {
            return Ok(Registered::ServerFull);
        }
        let number = self.free_number()?;
        self.connection
            .prepare_cached("INSERT INTO boxes (number, owner) VALUES (?1, ?2)")?
            .execute(params![number, owner.as_bytes()])?;
        self.box_usage.open(owner, number);
        Ok(Registered::New)
    }

    /// Removes the box from its owner. Returns the box number, under which letters may remain.
    pub(super) fn close_box(&mut self, owner: PeerId) -> Result<Option<u32>, MailboxError> {
        let Some(number) = self.box_usage.number(&owner) else {
            return Ok(None);
        };
        self.connection
            .prepare_cached("DELETE FROM tokens WHERE box = ?1")?
            .execute([number])?;
        self.connection
            .prepare_cached("DELETE FROM boxes WHERE number = ?1")?
            .execute([number])?;
        self.box_usage.close(&owner);
        Ok(Some(number))
    }

    /// Deletes up to `budget` letters of a closed box. Returns whether it is empty.
    pub(super) fn empty_box(&mut self, number: u32, budget: usize) -> Result<bool, MailboxError> {
        let deleted = self.delete_some(
            "SELECT key, length(letter) FROM letters
             WHERE key >= ?1 << 40 AND key < (?1 + 1) << 40 LIMIT ?2",
            number,
            budget,
        )?;
        if deleted < budget {
            self.box_usage.release(number);
        }
        Ok(deleted < budget)
    }

    pub(super) fn has_box(&self, owner: &PeerId) -> bool {
        self.box_usage.number(owner).is_some()
    }

    pub(super) fn add_tokens(
        &mut self,
        owner: &PeerId,
        hashes: &[TokenHash],
    ) -> Result<TokensAdded, MailboxError> {
        let Some(number) = self.box_usage.number(owner) else {
            return Ok(TokensAdded::NoBox);
        };
        let before = self.tokens(number)?;
        let mut fresh = Vec::with_capacity(hashes.len());
        for hash in hashes {
            if !self.has_token(number, hash)? {
                fresh.push(hash);
            }
        }
        fresh.sort_unstable();
        fresh.dedup();
        let after = before.saturating_add(fresh.len() as u64);
        if after > self.limits.box_tokens {
            return Ok(TokensAdded::TooMany);
        }
        for hash in fresh {
            self.connection
                .prepare_cached("INSERT INTO tokens (box, hash) VALUES (?1, ?2)")?
                .execute(params![number, hash])?;
        }
        self.box_usage.get_mut(number).tokens = Some(after);
        Ok(TokensAdded::Added)
    }

    pub(super) fn remove_tokens(
        &mut self,
        owner: &PeerId,
        hashes: &[TokenHash],
    ) -> Result<(), MailboxError> {
        let Some(number) = self.box_usage.number(owner) else {
            return Ok(());
        };
        for hash in hashes {
            self.spend(number, hash)?;
        }
        Ok(())
    }

    pub(super) fn token_count(&mut self, owner: &PeerId) -> Result<u64, MailboxError> {
        match self.box_usage.number(owner) {
            Some(number) => self.tokens(number),
            None => Ok(0),
        }
    }

    pub(super) fn deposit(
        &mut self,
        deposit: &Deposit,
        now_ms: u64,
    ) -> Result<Deposited, MailboxError> {
        // No box has number 0. It is searched nevertheless, so that an unknown box takes the same
        // time.
        let number = self.box_usage.number(&deposit.owner).unwrap_or(0);
        let slot = match self.find(number, &deposit.owner, &deposit.id)? {
            Slot::Taken(_) => return Ok(Deposited::AlreadyThere),
            Slot::Free(key) => Some(key),
            Slot::Crowded => None,
        };
        if !self.has_token(number, &deposit.token)? {
            return Ok(Deposited::TokenUnknown);
        }
        let size = deposit.letter.len() as u64;
        if let Some(full) = self.fullness(number, size) {
            return Ok(full);
        }
        let Some(key) = slot else {
            return Ok(Deposited::BoxFull);
        };
        self.spend(number, &deposit.token)?;
        self.connection
            .prepare_cached(
                "INSERT INTO letters (key, id, expiry, letter) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key,
                deposit.id,
                expiry_hour(now_ms),
                &deposit.letter[..]
            ])?;
        self.box_usage.add(number, size);
        Ok(Deposited::Stored)
    }

    pub(super) fn remove(&mut self, owner: &PeerId, ids: &[LetterId]) -> Result<(), MailboxError> {
        let Some(number) = self.box_usage.number(owner) else {
            return Ok(());
        };
        for id in ids {
            if let Slot::Taken(key) = self.find(number, owner, id)? {
                self.delete(key)?;
            }
        }
        Ok(())
    }

    pub(super) fn purge(&mut self, now_ms: u64, budget: usize) -> Result<usize, MailboxError> {
        self.delete_some(
            "SELECT key, length(letter) FROM letters INDEXED BY letters_by_expiry
             WHERE expiry <= ?1 ORDER BY expiry LIMIT ?2",
            due_hour(now_ms),
            budget,
        )
    }

    pub(super) fn totals(&self) -> Totals {
        self.box_usage.totals()
    }

    fn fullness(&self, number: u32, size: u64) -> Option<Deposited> {
        let count = self.box_usage.get(number);
        let fits = count.letters < self.limits.box_letters
            && count.bytes.saturating_add(size) <= self.limits.box_bytes;
        if !fits {
            return Some(Deposited::BoxFull);
        }
        let total = self.box_usage.totals().bytes.saturating_add(size);
        (total > self.limits.bytes).then_some(Deposited::ServerFull)
    }

    fn free_number(&self) -> Result<u32, MailboxError> {
        loop {
            // A random number, because a counter would reveal which box is older.
            let number = u32::from_be_bytes(crate::store::random()?) >> (32 - NUMBER_BITS);
            if number != 0 && !self.box_usage.is_taken(number) {
                return Ok(number);
            }
        }
    }

    fn tokens(&mut self, number: u32) -> Result<u64, MailboxError> {
        if let Some(count) = self.box_usage.get(number).tokens {
            return Ok(count);
        }
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM tokens WHERE box = ?1")?
            .query_row([number], |row| row.get(0))?;
        let count = u64::try_from(count).map_err(|_| MailboxError::Corrupt("count"))?;
        self.box_usage.get_mut(number).tokens = Some(count);
        Ok(count)
    }

    fn has_token(&self, number: u32, hash: &TokenHash) -> Result<bool, MailboxError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM tokens WHERE box = ?1 AND hash = ?2")?;
        Ok(statement.exists(params![number, hash])?)
    }

    fn spend(&mut self, number: u32, hash: &TokenHash) -> Result<(), MailboxError> {
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM tokens WHERE box = ?1 AND hash = ?2")?
            .execute(params![number, hash])?;
        if let Some(count) = &mut self.box_usage.get_mut(number).tokens {
            *count = count.saturating_sub(deleted as u64);
        }
        Ok(())
    }

    fn find(&self, number: u32, owner: &PeerId, id: &LetterId) -> Result<Slot, MailboxError> {
        let base = self.base_key(number, owner, id);
        let mut statement = self.connection.prepare_cached(
            "SELECT key, id FROM letters WHERE key >= ?1 AND key < ?2 ORDER BY key",
        )?;
        let mut rows = statement.query([base, base + PROBES])?;
        let mut free = base;
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            let taken = row.get_ref(1)?.as_blob().ok();
            if taken == Some(id.as_slice()) {
                return Ok(Slot::Taken(key));
            }
            free += i64::from(free == key);
        }
        Ok(if free < base + PROBES {
            Slot::Free(free)
        } else {
            Slot::Crowded
        })
    }

    fn base_key(&self, number: u32, owner: &PeerId, id: &LetterId) -> i64 {
        let hash = label::mac(self.salt.expose(), "letter key", &[owner.as_bytes(), id]);
        let tail = hash
            .iter()
            .take(5)
            .fold(0, |sum, byte| (sum << 8) | i64::from(*byte));
        // Leaves room for the probes at the end of the box's range.
        (i64::from(number) << KEY_BITS) + tail.min((1 << KEY_BITS) - PROBES)
    }

    fn delete(&mut self, key: i64) -> Result<(), MailboxError> {
        let size: Option<i64> = self
            .connection
            .prepare_cached("SELECT length(letter) FROM letters WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        match size {
            Some(size) => self.delete_sized(key, size),
            None => Ok(()),
        }
    }

    fn delete_sized(&mut self, key: i64, size: i64) -> Result<(), MailboxError> {
        self.connection
            .prepare_cached("DELETE FROM letters WHERE key = ?1")?
            .execute([key])?;
        let size = u64::try_from(size).map_err(|_| MailboxError::Corrupt("letter"))?;
        self.box_usage.subtract(number_of(key), size);
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
            self.delete_sized(key, size)?;
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
    Taken(i64),
    Free(i64),
    Crowded,
}

/// Returns the number of the box to which a key of `letters` belongs.
pub(super) fn number_of(key: i64) -> u32 {
    u32::try_from(key >> KEY_BITS).unwrap_or(0)
}

/// Returns the range of keys of a box.
pub(super) fn key_range(number: u32) -> std::ops::Range<i64> {
    let number = i64::from(number);
    number << KEY_BITS..(number + 1) << KEY_BITS
}

fn read_salt(connection: &Connection) -> Result<Secret<32>, MailboxError> {
    let query = "SELECT value FROM settings WHERE name = 'salt'";
    let salt: Vec<u8> = connection.query_row(query, [], |row| row.get(0))?;
    Secret::from_slice(&salt).ok_or(MailboxError::Corrupt("salt"))
}
