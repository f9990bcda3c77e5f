//! The numbers of rows, with a type for each table.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

macro_rules! row_ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        ///
        /// It is 0 for a row that is not stored yet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(i64);

        impl $name {
            /// Returns the id with a number.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// Returns the number.
            pub const fn number(self) -> i64 {
                self.0
            }

            /// Returns the next number, from which a scan goes on.
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }
    )*};
}

row_ids! {
    /// The number of a row in the table of contacts and other known peers.
    ContactRowId
    /// The number of a row in the table of messages.
    MessageRowId
    /// The number of a row in the table of this daemon's boxes.
    BoxRowId
    /// The number of a row in the table of this daemon's relays.
    RelayRowId
}
