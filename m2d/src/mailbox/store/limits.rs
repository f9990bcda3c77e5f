//! How much a mailbox server keeps.

/// Bounds of a store. What is over them is refused, never something older dropped for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Boxes on the server.
    pub boxes: u64,
    /// Bytes of all letters on the server.
    pub bytes: u64,
    /// Letters in a box.
    pub box_letters: u64,
    /// Bytes of the letters in a box.
    pub box_bytes: u64,
    /// Unspent tokens of a box.
    pub box_tokens: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            boxes: 10_000,
            bytes: 16 << 30,
            box_letters: 10_000,
            box_bytes: 64 << 20,
            box_tokens: 65_536,
        }
    }
}
