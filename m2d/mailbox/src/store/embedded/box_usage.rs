//! The contents of boxes in numbers: counted once when the store opens, then updated in memory.

use crate::store::{MailboxError, Totals};
use m2_crypto::PeerId;
use rusqlite::Connection;
use std::collections::HashMap;

/// The boxes by owner, and their counts by box number.
#[derive(Debug, Default)]
pub(super) struct BoxUsage {
    numbers: HashMap<PeerId, u32>,
    boxes: HashMap<u32, BoxCount>,
    letters: u64,
    bytes: u64,
}

/// The counts of one box.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct BoxCount {
    pub(super) letters: u64,
    pub(super) bytes: u64,
    /// Counted on first use.
    pub(super) tokens: Option<u64>,
}

impl BoxUsage {
    /// Counts everything. Does not read the letters: the index on expiry contains the needed
    /// columns.
    pub(super) fn count(connection: &Connection) -> Result<Self, MailboxError> {
        let mut box_usage = Self::default();
        let mut boxes = connection.prepare("SELECT number, owner FROM boxes")?;
        let mut rows = boxes.query([])?;
        while let Some(row) = rows.next()? {
            let owner = row.get_ref(1)?.as_blob().ok();
            let owner = owner.and_then(|bytes| PeerId::try_from(bytes).ok());
            let owner = owner.ok_or(MailboxError::Corrupt("box"))?;
            let number = u32::try_from(row.get::<_, i64>(0)?);
            box_usage.open(
                owner,
                number.map_err(|_| MailboxError::Corrupt("box number"))?,
            );
        }
        let mut letters = connection
            .prepare("SELECT key, length(letter) FROM letters INDEXED BY letters_by_expiry")?;
        let mut rows = letters.query([])?;
        while let Some(row) = rows.next()? {
            let size = u64::try_from(row.get::<_, i64>(1)?);
            let size = size.map_err(|_| MailboxError::Corrupt("letter"))?;
            box_usage.add(super::tables::number_of(row.get(0)?), size);
        }
        Ok(box_usage)
    }

    pub(super) fn number(&self, owner: &PeerId) -> Option<u32> {
        self.numbers.get(owner).copied()
    }

    /// Returns whether a box, or the remainder of a removed box, has this number.
    pub(super) fn is_taken(&self, number: u32) -> bool {
        self.boxes.contains_key(&number)
    }

    pub(super) fn get(&self, number: u32) -> BoxCount {
        self.boxes.get(&number).copied().unwrap_or_default()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut BoxCount {
        self.boxes.entry(number).or_default()
    }

    pub(super) fn open(&mut self, owner: PeerId, number: u32) {
        self.numbers.insert(owner, number);
        self.boxes.entry(number).or_default();
    }

    /// Removes the owner. The number stays in use while letters remain under it.
    pub(super) fn close(&mut self, owner: &PeerId) {
        if let Some(number) = self.numbers.remove(owner) {
            self.get_mut(number).tokens = Some(0);
        }
    }

    /// Frees the number of a removed box once it is empty.
    pub(super) fn release(&mut self, number: u32) {
        self.boxes.remove(&number);
    }

    /// Returns the numbers of removed boxes that still have letters, because their removal was
    /// interrupted.
    pub(super) fn orphans(&self) -> Vec<u32> {
        let owned: std::collections::HashSet<u32> = self.numbers.values().copied().collect();
        let numbers = self.boxes.keys().copied();
        numbers.filter(|number| !owned.contains(number)).collect()
    }

    pub(super) fn add(&mut self, number: u32, bytes: u64) {
        let count = self.get_mut(number);
        count.letters += 1;
        count.bytes += bytes;
        self.letters += 1;
        self.bytes += bytes;
    }

    pub(super) fn subtract(&mut self, number: u32, bytes: u64) {
        let count = self.get_mut(number);
        count.letters = count.letters.saturating_sub(1);
        count.bytes = count.bytes.saturating_sub(bytes);
        self.letters = self.letters.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            boxes: self.numbers.len() as u64,
            letters: self.letters,
            bytes: self.bytes,
        }
    }
}
