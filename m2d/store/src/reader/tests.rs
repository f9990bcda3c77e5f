use super::*;
use crate::tests::scratch;
use crate::{ContactRow, MessageKind, MessageRow, StoreFile};
use m2_core::ContactState;
use m2_crypto::Secret;

/// Two contacts, and messages that alternate between them, stored at the times 10, 10, 20, 20, 30, 30, …
fn bench(count: u64) -> (tempfile::TempDir, Reader, [ContactRowId; 2]) {
    let (dir, store) = scratch();
    let reader = StoreFile::new(dir.path(), Secret::new([7; 32])).open_reader();
    let contacts = [[1; 32], [2; 32]].map(|id| {
        let contact = ContactRow::new(PeerId::from_bytes(id), ContactState::Contact, 1);
        store.insert_contact(&contact).unwrap()
    });
    for number in 0..2 * count {
        let message = MessageRow {
            row: MessageRowId::default(),
            id: u128::from(number).to_be_bytes(),
            contact: contacts[usize::from(number % 2 == 1)],
            kind: MessageKind::Content,
            own: false,
            incarnation: 1,
            state: MessageState::Delivered,
            author_ms: 1,
            stored_ms: 10 * (1 + number / 2),
            hash: [0; 32],
            media_type: String::new(),
            content: Some(format!("word number {number}").into_bytes()),
            gone: Gone::No,
            expires_ms: None,
            reply_to: None,
            thread: None,
        };
        store.insert_message(&message).unwrap();
    }
    while store.index_some(100).unwrap() {}
    (dir, reader.unwrap(), contacts)
}

fn times(page: &HistoryPage) -> Vec<u64> {
    let messages = page.messages.iter();
    messages.map(|message| message.stored_ms).collect()
}

const ALL: PageSize = PageSize {
    rows: 1_000,
    bytes: u64::MAX,
};

#[test]
fn a_conversation_is_read_forwards_page_by_page() {
    let (_dir, reader, [contact, _]) = bench(5);
    let size = PageSize { rows: 2, ..ALL };
    let mut span = Span {
        is_forward: true,
        ..MessageRowId::new(i64::MAX).into()
    };
    let mut read = Vec::new();
    loop {
        let page = reader.history(contact, span, size).unwrap();
        read.extend(times(&page));
        span.after = page.messages.last().unwrap().row;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(read, [10, 20, 30, 40, 50]);
}

#[test]
fn times_bound_a_conversation_in_both_directions() {
    let (_dir, reader, [_, contact]) = bench(9);
    let row = |time| reader.first_row_since(time).unwrap().number();
    let mut span = Span {
        after: MessageRowId::new(row(30) - 1),
        before: MessageRowId::new(row(61)),
        is_forward: true,
    };
    let page = reader.history(contact, span, ALL).unwrap();
    assert_eq!(times(&page), [30, 40, 50, 60]);
    span.is_forward = false;
    let page = reader.history(contact, span, PageSize { rows: 2, ..ALL });
    let page = page.unwrap();
    assert_eq!((times(&page), page.has_more), (vec![60, 50], true));
}

#[test]
fn the_first_row_of_a_time_is_found() {
    let (_dir, reader, _) = bench(50);
    let first = |time| reader.first_row_since(time).unwrap().number();
    for time in 0..=500_u64 {
        let tens = i64::try_from(time.max(1).div_ceil(10)).unwrap();
        assert_eq!(first(time), 2 * tens - 1, "{time}");
    }
    assert!(first(501) > 100 && first(u64::MAX) > 100);
    let (_dir, empty, _) = bench(0);
    empty.first_row_since(1).unwrap();
}

#[test]
fn a_search_can_be_limited_to_a_contact() {
    let (_dir, reader, [one, other]) = bench(3);
    let newest = MessageRowId::new(i64::MAX);
    let found = |contact| {
        let page = reader.search("word", contact, newest, ALL).unwrap();
        let rows = page.messages.iter().map(|message| message.row.number());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(found(Some(one)), [5, 3, 1]);
    assert_eq!(found(Some(other)), [6, 4, 2]);
    assert_eq!(found(None).len(), 6);
}
