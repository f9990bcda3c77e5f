use super::*;
use std::net::IpAddr;

fn prefix(number: u8) -> Prefix {
    Prefix::of(IpAddr::from([127, 0, number, 1]))
}

/// Admits a party of the prefix with this number.
fn admit(table: &mut Table, number: u8) -> PartyId {
    table.admit(prefix(number)).unwrap().0
}

fn small() -> Table {
    Table::new(&RelayLimits {
        sessions: 4,
        lines: 5,
        lines_per_session: 3,
        joins_per_line: 2,
        splices: 3,
        ..RelayLimits::default()
    })
}

fn tokens(numbers: impl IntoIterator<Item = u8>) -> Vec<JoinToken> {
    numbers.into_iter().map(|n| JoinToken([n; 16])).collect()
}

fn open(table: &mut Table, id: PartyId, numbers: impl IntoIterator<Item = u8>) -> u32 {
    table.open(id, tokens(numbers).into_iter()).0
}

fn is_empty(table: &Table) -> bool {
    let shares = [&table.sessions, &table.open, &table.splices];
    let is_free = shares.iter().all(|shares| shares.total() == 0);
    table.parties.is_empty() && table.lines.is_empty() && is_free
}

#[test]
fn a_caller_and_a_listener_are_connected_and_disconnected() {
    let mut table = small();
    let [alice, bob] = [1, 2].map(|number| admit(&mut table, number));
    assert_eq!(open(&mut table, alice, [1]), 1);
    let joined = table.join(bob, Channel(1), &JoinToken([1; 16]));
    assert_eq!(joined, Ok(Ok((alice, Channel(2), Lost::default()))));
    assert_eq!(table.splices(), 1);
    let other = Ended {
        party: bob,
        channel: Channel(1),
    };
    assert_eq!(table.leave(alice, Channel(2)), Some(other));
    assert_eq!(table.leave(alice, Channel(2)), None);
    assert_eq!(table.leave(bob, Channel(1)), None);
    table.remove(alice);
    table.remove(bob);
    assert!(is_empty(&table));
}

#[test]
fn the_newest_listener_keeps_the_line_when_the_old_one_leaves() {
    let mut table = small();
    let [old, new, caller] = [1, 2, 3].map(|number| admit(&mut table, number));
    open(&mut table, old, [1]);
    table
        .join(caller, Channel(1), &JoinToken([1; 16]))
        .unwrap()
        .unwrap();
    open(&mut table, new, [1]);
    assert_eq!(table.remove(old).len(), 1);
    let joined = table.join(caller, Channel(3), &JoinToken([1; 16]));
    assert_eq!(joined, Ok(Ok((new, Channel(2), Lost::default()))));
}

#[test]
fn everything_is_bounded() {
    let mut table = small();
    let ids = [1, 2, 3, 4].map(|number| admit(&mut table, number));
    let [a, b, c, d] = ids;
    assert_eq!(open(&mut table, a, 1..=9), 3, "lines of one session");
    assert_eq!(open(&mut table, b, 11..=19), 2, "lines of all");
    let call = |table: &mut Table, id, channel, line| {
        table.join(id, Channel(channel), &JoinToken([line; 16]))
    };
    assert!(call(&mut table, c, 1, 1).unwrap().is_ok());
    assert!(call(&mut table, d, 1, 1).unwrap().is_ok());
    assert_eq!(
        call(&mut table, d, 3, 1),
        Ok(Err(JoinOutcome::Full)),
        "of one line"
    );
    assert!(call(&mut table, d, 3, 2).unwrap().is_ok());
    assert_eq!(
        call(&mut table, d, 5, 3),
        Ok(Err(JoinOutcome::Full)),
        "of all"
    );
    for id in ids {
        table.remove(id);
    }
    assert!(is_empty(&table));
}

#[test]
fn one_prefix_does_not_take_all_lines() {
    let mut table = Table::new(&RelayLimits {
        sessions: 16,
        lines: 64,
        lines_per_session: 8,
        ..RelayLimits::default()
    });
    let greedy = [(); 8].map(|()| admit(&mut table, 1));
    for (number, id) in (0_u8..).zip(greedy) {
        open(&mut table, id, number * 8..number * 8 + 8);
    }
    assert_eq!(table.lines(), 48, "a quarter is left");
    let honest = admit(&mut table, 2);
    let more = tokens(100..103).into_iter();
    assert_eq!(table.open(honest, more), (3, Lost::default()));
    let others = [3, 4].map(|number| admit(&mut table, number));
    assert_eq!(open(&mut table, others[0], 110..118), 8);
    assert_eq!(open(&mut table, others[1], 120..125), 5);
    assert_eq!(table.lines(), 64);
    let last = admit(&mut table, 5);
    let (count, lost) = table.open(last, tokens([130]).into_iter());
    // Admitting the last two parties evicted the first two of the greedy prefix.
    assert_eq!((count, lost.parties), (1, vec![greedy[2]]));
    assert_eq!(table.lines(), 57);
    assert_eq!(open(&mut table, honest, [103]), 1, "it kept its own");
}

#[test]
fn idle_sessions_are_evicted_first() {
    let mut table = small();
    let [idle, listener, caller] = [1, 1, 1].map(|number| admit(&mut table, number));
    open(&mut table, idle, [1]);
    open(&mut table, listener, [2]);
    let joined = table.join(caller, Channel(1), &JoinToken([2; 16]));
    assert!(joined.unwrap().is_ok());
    admit(&mut table, 2);
    let (_, lost) = table.admit(prefix(3)).unwrap();
    let gone = Lost {
        parties: vec![idle],
        channels: Vec::new(),
    };
    assert_eq!(lost, gone);
    let (_, lost) = table.admit(prefix(4)).unwrap();
    assert_eq!(
        lost.parties,
        [caller],
        "of those in use the one used least lately"
    );
    assert_eq!(lost.channels.len(), 1, "and the listener is told");
}

#[test]
fn callers_on_one_line_and_on_all_lines_are_shared_out() {
    let mut table = Table::new(&RelayLimits {
        joins_per_line: 4,
        splices: 4,
        ..RelayLimits::default()
    });
    let listener = admit(&mut table, 1);
    open(&mut table, listener, [1, 2]);
    let greedy = admit(&mut table, 2);
    let call = |table: &mut Table, id, channel, line| {
        table.join(id, Channel(channel), &JoinToken([line; 16]))
    };
    for channel in [1, 3, 5] {
        assert!(call(&mut table, greedy, channel, 1).unwrap().is_ok());
    }
    assert_eq!(call(&mut table, greedy, 7, 1), Ok(Err(JoinOutcome::Full)));
    let [honest, other] = [3, 4].map(|number| admit(&mut table, number));
    assert!(call(&mut table, honest, 1, 2).unwrap().is_ok());
    let (_, _, lost) = call(&mut table, other, 1, 1).unwrap().unwrap();
    let party = greedy;
    assert!(lost.parties.is_empty());
    assert_eq!(lost.channels.len(), 2, "both ends are told");
    assert!(lost.channels.contains(&Ended {
        party,
        channel: Channel(1)
    }));
    assert_eq!(table.splices(), 4);
    assert!(
        call(&mut table, honest, 3, 1).unwrap().is_err(),
        "all hold about the same number"
    );
}

#[test]
fn protocol_errors_are_distinguished_from_missing_lines() {
    let mut table = small();
    let [a, b] = [1, 2].map(|number| admit(&mut table, number));
    open(&mut table, a, [1]);
    let token = JoinToken([1; 16]);
    assert_eq!(
        table.join(b, Channel(2), &token),
        Err(ProtocolViolation),
        "even"
    );
    assert_eq!(
        table.join(b, Channel(1), &JoinToken([9; 16])),
        Ok(Err(JoinOutcome::NoLine))
    );
    assert!(table.join(b, Channel(1), &token).unwrap().is_ok());
    assert_eq!(
        table.join(b, Channel(1), &token),
        Err(ProtocolViolation),
        "twice"
    );
    assert_eq!(
        table.join(a, Channel(1), &token),
        Ok(Err(JoinOutcome::Full)),
        "itself"
    );
    // Only the listener can close a line.
    table.close(b, &[token]);
    assert!(table.join(b, Channel(3), &token).unwrap().is_ok());
    table.close(a, &[token]);
    assert_eq!(
        table.join(b, Channel(5), &token),
        Ok(Err(JoinOutcome::NoLine))
    );
    assert_eq!(table.splices(), 2);
}
