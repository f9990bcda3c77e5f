//! Tests that the cost of front-ends' queries does not depend on the size of the store: no
//! statement of a reader may scan a growing table.
#![allow(clippy::unwrap_used)]

use super::{PageSize, Span, StoreFile};
use crate::{ContactRowId, MessageRowId};
use m2_crypto::Secret;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Tables with a row for each message, event or similar item. Tables with a row for each contact
/// may be scanned.
const GROWING: [&str; 6] = [
    "messages",
    "outbox",
    "events",
    "idempotency",
    "held",
    "tombstones",
];

const SIZE: PageSize = PageSize { rows: 10, bytes: 1 };

thread_local! {
    static STATEMENTS: RefCell<BTreeSet<String>> = RefCell::default();
}

/// Records a statement that a reader runs.
pub(super) fn note(sql: &str) {
    STATEMENTS.with_borrow_mut(|statements| statements.insert(sql.to_owned()));
}

#[test]
fn no_reader_scans_a_table_that_grows() {
    let (dir, store) = super::tests::scratch();
    let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
    let reader = file.open_reader().unwrap();
    let (contact, newest) = (ContactRowId::new(1), MessageRowId::new(i64::MAX));
    reader.message(&[0; 16]).unwrap();
    reader.history(contact, newest, SIZE).unwrap();
    let span = Span {
        is_forward: true,
        ..newest.into()
    };
    reader.history(contact, span, SIZE).unwrap();
    reader.first_row_since(1).unwrap();
    reader.search("word", None, newest, SIZE).unwrap();
    reader.events(0, SIZE).unwrap();
    reader.dead_letters("bot", 0, SIZE).unwrap();
    reader.oldest_event().unwrap();
    reader.usage().unwrap();
    reader.usage_of(contact).unwrap();
    reader.queued().unwrap();
    let statements = STATEMENTS.with_borrow(Clone::clone);
    assert_eq!(statements.len(), 11, "a method of Reader is missing above");
    for sql in statements {
        for step in plan(&store, &sql) {
            assert!(!is_scan_of_growing(&step), "{step}\n{sql}");
        }
    }
}

fn plan(store: &super::Store, sql: &str) -> Vec<String> {
    let mut statement = store
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// Returns whether a step of the plan scans a growing table. "SCAN m" names the alias, so the first
/// letter of a growing table also matches.
fn is_scan_of_growing(step: &str) -> bool {
    let Some(name) = step.strip_prefix("SCAN ") else {
        return false;
    };
    let name = name.split_whitespace().next().unwrap_or_default();
    GROWING
        .iter()
        .any(|table| *table == name || table.get(..1) == Some(name))
}
