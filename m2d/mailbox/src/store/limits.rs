//! The bounds of a mailbox store.

/// The bounds of a store. Anything beyond them is refused; nothing older is dropped to make room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of boxes.
    pub boxes: u64,
    /// The maximum bytes of all letters.
    pub bytes: u64,
    /// The maximum number of letters in a box.
    pub box_letters: u64,
    /// The maximum bytes of the letters in a box.
    pub box_bytes: u64,
    /// The maximum number of spent marks of a box.
    pub box_spent: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            boxes: 10_000,
            bytes: 16 << 30,
            box_letters: 10_000,
            box_bytes: 64 << 20,
            box_spent: 65_536,
        }
    }
}
