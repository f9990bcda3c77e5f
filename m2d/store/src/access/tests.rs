use super::super::StoreFile;
use super::super::tests::scratch;
use super::*;
use m2_crypto::Secret;

const DAY_MS: u64 = 24 * HOUR_MS;

fn token(name: &str, contacts: Option<BTreeSet<PeerId>>) -> AccessTokenRow {
    let mut selector = [0; 8];
    for (to, from) in selector.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    AccessTokenRow {
        name: name.to_owned(),
        selector,
        hash: [7; 32],
        scopes: 3,
        contacts,
        created_ms: 5,
        expires_ms: Some(9),
    }
}

fn used(token: &str, at_ms: u64, peer: Option<PeerId>) -> TokenUseRow {
    TokenUseRow {
        token: token.to_owned(),
        call: "MessageService/SendMessage".to_owned(),
        peer_id: peer,
        uses: 2,
        refused: 1,
        first_ms: at_ms,
        last_ms: at_ms + 1,
    }
}

#[test]
fn a_token_is_read_as_it_was_stored() {
    let (_dir, store) = scratch();
    let peer = PeerId::from_bytes([1; 32]);
    let all = token("all", None);
    let few = token("few", Some(BTreeSet::from([peer])));
    let none = token("none", Some(BTreeSet::new()));
    for row in [&none, &all, &few] {
        store.insert_access_token(row).unwrap();
    }
    assert_eq!(store.access_tokens().unwrap(), [all, few, none.clone()]);
    assert!(store.insert_access_token(&none).is_err(), "the name exists");
    assert!(store.delete_access_token("few").unwrap());
    assert!(!store.delete_access_token("few").unwrap());
    // The contacts of a deleted token do not pass to a new one of the name.
    let again = token("few", Some(BTreeSet::new()));
    store.insert_access_token(&again).unwrap();
    assert_eq!(store.access_tokens().unwrap().get(1), Some(&again));
}

#[test]
fn uses_of_one_hour_are_added_up() {
    let (dir, store) = scratch();
    let reader = StoreFile::new(dir.path(), Secret::new([7; 32])).open_reader();
    let reader = reader.unwrap();
    let contact = PeerId::from_bytes([1; 32]);
    let peer = Some(contact);
    let first = used("bot", 10 * HOUR_MS, peer);
    let second = used("bot", 10 * HOUR_MS + 60_000, peer);
    let later = used("bot", 11 * HOUR_MS, peer);
    let other = used("cam", 10 * HOUR_MS, None);
    let uses = [first.clone(), second.clone(), later.clone(), other.clone()];
    store.add_token_uses(&uses).unwrap();
    let sum = TokenUseRow {
        uses: 4,
        refused: 2,
        last_ms: second.last_ms,
        ..first
    };
    let of_bot = reader.token_uses(Some("bot"), 9).unwrap();
    assert_eq!(of_bot, [later.clone(), sum.clone()]);
    let all = reader.token_uses(None, 9).unwrap();
    assert_eq!(all, [later.clone(), sum, other.clone()]);
    assert_eq!(reader.token_uses(None, 1).unwrap(), [later]);
    // Erasing a contact erases what was done about it.
    store.forget_token_uses(&contact).unwrap();
    assert_eq!(reader.token_uses(None, 9).unwrap(), [other]);
}

#[test]
fn old_uses_are_deleted_and_so_are_the_oldest_of_too_many() {
    let (dir, store) = scratch();
    let reader = StoreFile::new(dir.path(), Secret::new([7; 32])).open_reader();
    let reader = reader.unwrap();
    let uses: Vec<_> = (0..6).map(|day| used("bot", day * DAY_MS, None)).collect();
    store.add_token_uses(&uses).unwrap();
    store.prune_token_uses(2 * DAY_MS, 9).unwrap();
    assert_eq!(reader.token_uses(None, 9).unwrap().len(), 4);
    store.prune_token_uses(2 * DAY_MS, 3).unwrap();
    let left = reader.token_uses(None, 9).unwrap();
    let days: Vec<u64> = left.iter().map(|one| one.first_ms / DAY_MS).collect();
    assert_eq!(days, [5, 4, 3]);
}
