//! The boxes and their contents in numbers: counted once when the store opens, then updated in
//! memory.

use super::{keys, marks};
use crate::store::{MailboxError, Totals};
use m2_crypto::deposit::BoxKey;
use m2_crypto::{PeerId, Secret};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};

/// The boxes by owner, and their counts by box number.
#[derive(Debug, Default)]
pub(super) struct BoxUsage {
    owned: HashMap<PeerId, OwnedBox>,
    boxes: HashMap<u32, BoxCount>,
    letters: u64,
    bytes: u64,
}

/// A box that has an owner.
#[derive(Debug, Clone)]
pub(super) struct OwnedBox {
    pub(super) number: u32,
    /// `None` until the owner sets it, in a box of an earlier version of the file.
    pub(super) key: Option<BoxKey>,
}

/// The counts of one box.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct BoxCount {
    pub(super) letters: u64,
    pub(super) bytes: u64,
    /// The number of spent marks. Counted on first use.
    pub(super) marks: Option<u64>,
}

impl BoxUsage {
    /// Counts everything except marks. Does not read the letters: the index on expiry contains the
    /// needed columns.
    pub(super) fn count(connection: &Connection) -> Result<Self, MailboxError> {
        let mut box_usage = Self::default();
        let mut boxes = connection.prepare("SELECT number, owner, key FROM boxes")?;
        let mut rows = boxes.query([])?;
        while let Some(row) = rows.next()? {
            let number = u32::try_from(row.get::<_, i64>(0)?);
            let number = number.map_err(|_| MailboxError::Corrupt("box number"))?;
            let owner = row.get_ref(1)?.as_blob().ok();
            let owner = owner.and_then(|bytes| PeerId::try_from(bytes).ok());
            let owner = owner.ok_or(MailboxError::Corrupt("box"))?;
            let key = row.get_ref(2)?.as_blob_or_null();
            let key = key.map_err(|_| MailboxError::Corrupt("box key"))?;
            let key = key.map(|bytes| Secret::from_slice(bytes).map(BoxKey::new));
            if key == Some(None) {
                return Err(MailboxError::Corrupt("box key"));
            }
            box_usage.open(owner, number, key.flatten());
        }
        let mut letters = connection
            .prepare("SELECT key, length(letter) FROM letters INDEXED BY letters_by_expiry")?;
        let mut rows = letters.query([])?;
        while let Some(row) = rows.next()? {
            let size = u64::try_from(row.get::<_, i64>(1)?);
            let size = size.map_err(|_| MailboxError::Corrupt("letter"))?;
            box_usage.add(keys::number_of(row.get(0)?), size);
        }
        for number in marks::boxes(connection)? {
            box_usage.get_mut(number);
        }
        Ok(box_usage)
    }

    pub(super) fn owned(&self, owner: &PeerId) -> Option<&OwnedBox> {
        self.owned.get(owner)
    }

    pub(super) fn number(&self, owner: &PeerId) -> Option<u32> {
        self.owned.get(owner).map(|owned| owned.number)
    }

    /// Returns whether a box, or the remainder of a removed box, has this number.
    pub(super) fn is_taken(&self, number: u32) -> bool {
        self.boxes.contains_key(&number)
    }

    pub(super) fn get(&self, number: u32) -> BoxCount {
        self.boxes.get(&number).copied().unwrap_or_default()
    }

    fn get_mut(&mut self, number: u32) -> &mut BoxCount {
        self.boxes.entry(number).or_default()
    }

    /// Adds a box, or sets the key of an existing one.
    pub(super) fn open(&mut self, owner: PeerId, number: u32, key: Option<BoxKey>) {
        self.owned.insert(owner, OwnedBox { number, key });
        self.get_mut(number);
    }

    /// Removes the owner. The number stays in use while letters or marks remain under it.
    pub(super) fn close(&mut self, owner: &PeerId) {
        self.owned.remove(owner);
    }

    /// Frees the number of a removed box once it is empty.
    pub(super) fn release(&mut self, number: u32) {
        self.boxes.remove(&number);
    }

    /// Returns the numbers of removed boxes that still have letters or marks, because their removal
    /// was interrupted.
    pub(super) fn orphans(&self) -> Vec<u32> {
        let owned: HashSet<u32> = self.owned.values().map(|owned| owned.number).collect();
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

    /// Sets the number of marks of a box.
    pub(super) fn set_marks(&mut self, number: u32, marks: u64) {
        self.get_mut(number).marks = Some(marks);
    }

    /// Adds to the number of marks of a box, if they were counted.
    pub(super) fn add_mark(&mut self, number: u32) {
        if let Some(marks) = &mut self.get_mut(number).marks {
            *marks += 1;
        }
    }

    /// Subtracts from the number of marks of a box, if they were counted.
    pub(super) fn subtract_mark(&mut self, number: u32) {
        if let Some(marks) = &mut self.get_mut(number).marks {
            *marks = marks.saturating_sub(1);
        }
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            boxes: self.owned.len() as u64,
            letters: self.letters,
            bytes: self.bytes,
        }
    }
}
