use super::*;

const MINUTE_MS: u64 = 60_000;
const TERMS: SharedTerms = SharedTerms {
    lease_ms: MINUTE_MS,
    max_open: 2,
    max_deliveries: 3,
};

/// A source of random numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What the test knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Done,
    Dead,
    Forgotten,
}

/// An event, as the test sees it.
#[derive(Debug, Clone)]
struct Event {
    contact: i64,
    is_selected: bool,
    fate: Fate,
    deliveries: u32,
    /// The worker that has it, its delivery, and the end of its lease.
    lease: Option<(WorkerId, u32, u64)>,
}

/// The store: what survives a crash.
#[derive(Debug, Clone, Default)]
struct Disk {
    floor: i64,
    rows: BTreeMap<i64, SharedRow>,
}

impl Disk {
    fn apply(&mut self, changes: Vec<Change>, events: &BTreeMap<i64, Event>) {
        for change in changes {
            match change {
                Change::Put(mut row, _) => {
                    row.contact = ContactRowId::new(events[&row.seq].contact);
                    self.rows.insert(row.seq, row);
                }
                Change::Delete(seq) => {
                    self.rows.remove(&seq);
                }
                Change::Floor(floor) => {
                    assert!(floor > self.floor, "the floor moves up");
                    self.floor = floor;
                }
            }
        }
        let done = |row: &&SharedRow| row.state == SharedState::Done;
        assert!(
            self.rows
                .values()
                .filter(done)
                .all(|row| row.seq > self.floor)
        );
    }

    fn load(&self, now: u64) -> SharedQueue {
        let rows: Vec<SharedRow> = self.rows.values().copied().collect();
        SharedQueue::load(self.floor, TERMS.max_deliveries, &rows, now)
    }
}

/// How often each thing has happened.
#[derive(Debug, Default)]
struct Covered {
    crashes: u64,
    undone: u64,
    again: u64,
    late: u64,
    dead: u64,
    retried: u64,
    forgotten: u64,
    refused: u64,
    given_back: u64,
}

struct World {
    dice: Dice,
    now: u64,
    events: BTreeMap<i64, Event>,
    oldest: i64,
    disk: Disk,
    queue: SharedQueue,
    covered: Covered,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = Disk::default();
        Self {
            dice: Dice(seed),
            now: 1_000_000,
            events: BTreeMap::new(),
            oldest: 1,
            queue: disk.load(0),
            disk,
            covered: Covered::default(),
        }
    }

    fn newest(&self) -> i64 {
        self.events.keys().next_back().copied().unwrap_or(0)
    }

    fn append(&mut self) {
        let event = Event {
            contact: i64::try_from(self.dice.below(3)).unwrap(),
            is_selected: self.dice.below(4) > 0,
            fate: Fate::Open,
            deliveries: 0,
            lease: None,
        };
        self.events.insert(self.newest() + 1, event);
    }

    /// Commits the changes of the queue, or loses them with everything in memory. Returns whether they are on disk.
    fn commit(&mut self) -> bool {
        if self.dice.below(12) == 0 {
            self.covered.undone += 1;
            self.queue = self.disk.load(self.now);
            return false;
        }
        let changes = self.queue.take_changes();
        self.disk.apply(changes, &self.events);
        if self.dice.below(12) == 0 {
            self.covered.crashes += 1;
            self.queue = self.disk.load(self.now);
        }
        true
    }

    /// Ends leases and considers events, as every call does. The next commit stores it.
    fn refresh(&mut self) {
        self.queue.forget_before(self.oldest);
        self.queue.end_leases(self.now);
        while self.queue.has_room() {
            let seq = self.queue.considered() + 1;
            let Some(event) = self.events.get(&seq) else {
                break;
            };
            let contact = ContactRowId::new(event.contact);
            self.queue.consider(seq, contact, event.is_selected);
        }
    }

    /// Notes the ends of leases that are on disk.
    fn note_ends(&mut self) {
        let (now, oldest) = (self.now, self.oldest);
        for (seq, event) in &mut self.events {
            if *seq < oldest && event.fate == Fate::Open {
                event.fate = Fate::Forgotten;
                event.lease = None;
            }
            if event.lease.is_some_and(|(_, _, until)| until <= now) {
                event.lease = None;
                if event.deliveries >= TERMS.max_deliveries {
                    event.fate = Fate::Dead;
                    self.covered.dead += 1;
                }
            }
        }
    }

    fn take(&mut self) {
        let worker = WorkerId(1 + self.dice.below(3));
        self.refresh();
        let given = self.queue.give(worker, &TERMS, self.now);
        if !self.commit() {
            return;
        }
        self.note_ends();
        let Some(given) = given else {
            return;
        };
        self.check(&given, worker);
        let event = self.events.get_mut(&given.seq).unwrap();
        self.covered.again += u64::from(event.deliveries > 0);
        event.deliveries += 1;
        event.lease = Some((worker, given.delivery, given.until_ms));
    }

    fn check(&self, given: &Given, worker: WorkerId) {
        let event = &self.events[&given.seq];
        assert!(event.is_selected && event.fate == Fate::Open, "{event:?}");
        assert_eq!(event.lease, None, "two workers have it");
        assert_eq!(given.delivery, event.deliveries + 1);
        assert_eq!(given.until_ms, self.now + TERMS.lease_ms);
        let mut earlier = self.events.range(..given.seq).map(|(_, event)| event);
        let waits = |other: &Event| {
            other.contact == event.contact && other.is_selected && other.fate == Fate::Open
        };
        assert!(
            !earlier.any(waits),
            "an earlier event of the contact is open"
        );
        let held = self.events.values().filter_map(|event| event.lease);
        let held = held.filter(|(holder, _, _)| *holder == worker).count();
        assert!(held < TERMS.max_open as usize);
    }

    /// A random event that has ever been given.
    fn given(&mut self) -> Option<i64> {
        let given = self.events.iter().filter(|(_, event)| event.deliveries > 0);
        let given: Vec<i64> = given.map(|(seq, _)| *seq).collect();
        let at = self.dice.below(given.len().max(1) as u64);
        given.get(usize::try_from(at).unwrap()).copied()
    }

    fn acknowledge(&mut self) {
        let Some(seq) = self.given() else { return };
        self.queue.acknowledge(seq);
        if !self.commit() {
            return;
        }
        let event = self.events.get_mut(&seq).unwrap();
        if matches!(event.fate, Fate::Open | Fate::Dead) {
            self.covered.late += u64::from(event.lease.is_none());
            event.fate = Fate::Done;
            event.lease = None;
        }
    }

    fn refuse(&mut self) {
        let Some(seq) = self.given() else { return };
        let event = &self.events[&seq];
        let (current, lease) = (event.deliveries, event.lease);
        let delivery = [0, current, current.saturating_sub(1).max(1)][self.dice.below(3) as usize];
        let delay = self.dice.below(2) * MINUTE_MS;
        self.queue.refuse(seq, delivery, delay, self.now, "why");
        if !self.commit() || lease.is_none() || (delivery != 0 && delivery != current) {
            return;
        }
        self.covered.refused += 1;
        let event = self.events.get_mut(&seq).unwrap();
        event.lease = None;
        if current >= TERMS.max_deliveries {
            event.fate = Fate::Dead;
            self.covered.dead += 1;
        }
    }

    fn give_back(&mut self) {
        let Some(seq) = self.given() else { return };
        let Some((worker, _, _)) = self.events[&seq].lease else {
            return;
        };
        self.queue.give_back(seq, worker, self.now);
        if self.commit() {
            self.covered.given_back += 1;
            let event = self.events.get_mut(&seq).unwrap();
            event.lease = None;
            event.deliveries -= 1;
        }
    }

    fn retry(&mut self) {
        let dead = self.queue.dead().first().copied();
        let Some(seq) = dead.filter(|seq| *seq >= self.oldest) else {
            return;
        };
        let contact = ContactRowId::new(self.events[&seq].contact);
        self.queue.retry(seq, contact, self.now);
        if self.commit() {
            self.covered.retried += 1;
            let event = self.events.get_mut(&seq).unwrap();
            event.fate = Fate::Open;
            event.deliveries = 0;
        }
    }

    fn forget(&mut self) {
        // At most a few at once: most schedules must not lose everything.
        if self.oldest + 40 < self.newest() {
            self.oldest += 3;
            self.covered.forgotten += 1;
        }
    }

    fn step(&mut self) {
        match self.dice.below(24) {
            0..=5 => self.append(),
            6..=13 => self.take(),
            14..=17 => self.acknowledge(),
            18..=19 => self.refuse(),
            20 => self.now += self.dice.below(2 * MINUTE_MS),
            21 => self.give_back(),
            22 => self.retry(),
            _ => self.forget(),
        }
    }

    /// Lets one worker handle everything that is left.
    fn finish(&mut self) {
        let all = SharedTerms {
            max_open: 1,
            ..TERMS
        };
        loop {
            self.refresh();
            let given = self.queue.give(WorkerId(9), &all, self.now);
            let changes = self.queue.take_changes();
            self.disk.apply(changes, &self.events);
            self.note_ends();
            match given {
                Some(given) => {
                    self.check(&given, WorkerId(9));
                    self.queue.acknowledge(given.seq);
                    let changes = self.queue.take_changes();
                    self.disk.apply(changes, &self.events);
                    let event = self.events.get_mut(&given.seq).unwrap();
                    event.fate = Fate::Done;
                }
                None => match self.queue.next_change_ms(self.now) {
                    Some(next) => self.now = next,
                    None => return,
                },
            }
        }
    }

    fn check_end(&self) {
        let selected = self.events.iter().filter(|(_, event)| event.is_selected);
        for (seq, event) in selected {
            assert_ne!(event.fate, Fate::Open, "event {seq} was lost: {event:?}");
        }
        let dead: BTreeSet<i64> = self
            .events
            .iter()
            .filter(|(_, event)| event.fate == Fate::Dead)
            .map(|(seq, _)| *seq)
            .collect();
        assert_eq!(&dead, self.queue.dead(), "dead letters are kept");
        assert_eq!(self.disk.floor, self.newest().max(self.oldest - 1));
        let left = self.disk.rows.values();
        assert!(left.into_iter().all(|row| row.state == SharedState::Dead));
    }
}

#[test]
fn random_schedules_lose_nothing_and_keep_the_order_of_each_contact() {
    let mut covered = Covered::default();
    for seed in 1..=400 {
        let mut world = World::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        for _ in 0..400 {
            world.step();
        }
        world.finish();
        world.check_end();
        covered.crashes += world.covered.crashes;
        covered.undone += world.covered.undone;
        covered.again += world.covered.again;
        covered.late += world.covered.late;
        covered.dead += world.covered.dead;
        covered.retried += world.covered.retried;
        covered.forgotten += world.covered.forgotten;
        covered.refused += world.covered.refused;
        covered.given_back += world.covered.given_back;
    }
    let Covered {
        crashes,
        undone,
        again,
        late,
        dead,
        retried,
        forgotten,
        refused,
        given_back,
    } = covered;
    let counts = [
        crashes, undone, again, late, dead, retried, forgotten, refused, given_back,
    ];
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

fn filled(count: i64) -> SharedQueue {
    let mut queue = SharedQueue::load(0, TERMS.max_deliveries, &[], 0);
    for seq in 1..=count {
        // Each event is of another contact.
        queue.consider(seq, ContactRowId::new(seq), true);
    }
    queue
}

#[test]
fn an_event_that_stays_open_bounds_what_is_considered() {
    let mut queue = filled(1);
    let terms = SharedTerms {
        max_open: 10,
        ..TERMS
    };
    queue.give(WorkerId(1), &terms, 0).unwrap();
    while queue.has_room() {
        let seq = queue.considered() + 1;
        queue.consider(seq, ContactRowId::new(seq), true);
        queue.give(WorkerId(1), &terms, 0).unwrap();
        queue.acknowledge(seq);
    }
    assert_eq!(queue.considered(), i64::try_from(MAX_AHEAD).unwrap());
    queue.acknowledge(1);
    assert!(queue.has_room());
    assert!(
        queue
            .take_changes()
            .contains(&Change::Floor(queue.considered()))
    );
}

#[test]
fn an_event_beyond_the_limit_of_dead_letters_is_given_again() {
    let most = i64::try_from(MAX_DEAD).unwrap();
    let mut queue = filled(most + 1);
    queue.set_max_deliveries(1);
    for _ in 0..=most {
        let given = queue.give(WorkerId(1), &TERMS, 0).unwrap();
        queue.refuse(given.seq, 0, 0, 0, "broken");
    }
    assert_eq!(queue.dead().len(), MAX_DEAD);
    assert_eq!(queue.give(WorkerId(1), &TERMS, 0), None, "it waits");
    let given = queue.give(WorkerId(1), &TERMS, FULL_PAUSE_MS).unwrap();
    assert_eq!((given.seq, given.delivery), (most + 1, 2));
}

#[test]
fn a_lease_from_a_wrong_clock_ends() {
    let row = SharedRow {
        at_ms: u64::MAX,
        ..row(1, SharedState::Leased, 1, 0, 7)
    };
    let mut queue = SharedQueue::load(0, 3, &[row], 1_000);
    queue.end_leases(1_000 + MAX_WAIT_MS);
    let given = queue.give(WorkerId(1), &TERMS, 1_000 + MAX_WAIT_MS);
    assert_eq!(given.unwrap().delivery, 2);
}
