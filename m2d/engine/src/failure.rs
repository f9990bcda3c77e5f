//! Why a message was not delivered.

/// Why a message failed. The values are those of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Failure {
    /// The user retracted it before it was delivered.
    Retracted = 1,
    /// The contact was removed.
    ContactRemoved = 2,
    /// It was given up before the store was restored to an earlier state.
    GivenUp = 3,
}

impl Failure {
    /// Returns the stable word for a column's value; empty for an unknown one.
    pub const fn text(number: i64) -> &'static str {
        match number {
            1 => "RETRACTED",
            2 => "CONTACT_REMOVED",
            3 => "GIVEN_UP",
            _ => "",
        }
    }
}
