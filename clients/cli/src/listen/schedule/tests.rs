//! Rules of the schedule, and a model under random schedules.

use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Returns a schedule with these events, `contact` and number as `a1`.
fn schedule(jobs: usize, events: &[&str]) -> Schedule<String> {
    let mut schedule = Schedule::new(jobs);
    for event in events {
        let lane = event[..1].to_owned();
        schedule.push((*event).to_owned(), lane, 1, (*event).to_owned());
    }
    schedule
}

/// Starts all commands that may start. Returns their events.
fn started(schedule: &mut Schedule<String>, now: Instant) -> Vec<(Number, String)> {
    std::iter::from_fn(|| schedule.start(now)).collect()
}

fn names(started: &[(Number, String)]) -> Vec<&str> {
    started.iter().map(|(_, name)| name.as_str()).collect()
}

#[test]
fn contacts_run_concurrently_and_each_in_order() {
    let (mut schedule, now) = (schedule(8, &["a1", "a2", "b1", "a3", "c1"]), Instant::now());
    let first = started(&mut schedule, now);
    assert_eq!(names(&first), ["a1", "b1", "c1"]);
    schedule.finish(first[1].0);
    assert!(started(&mut schedule, now).is_empty());
    schedule.finish(first[0].0);
    assert_eq!(names(&started(&mut schedule, now)), ["a2"]);
}

#[test]
fn one_job_runs_the_log_in_order() {
    let (mut schedule, now) = (schedule(1, &["b1", "a1", "b2", "a2"]), Instant::now());
    let mut order = Vec::new();
    while let Some((number, name)) = schedule.start(now) {
        assert!(schedule.start(now).is_none(), "two commands at once");
        order.push(name);
        schedule.finish(number);
    }
    assert_eq!(order, ["b1", "a1", "b2", "a2"]);
    assert!(schedule.is_finished());
}

#[test]
fn only_a_prefix_is_done() {
    let (mut schedule, now) = (schedule(8, &["a1", "b1", "c1"]), Instant::now());
    let all = started(&mut schedule, now);
    schedule.finish(all[1].0);
    assert_eq!(schedule.take_done(), None);
    schedule.finish(all[0].0);
    assert_eq!(schedule.take_done().as_deref(), Some("b1"));
    assert_eq!(schedule.take_done(), None);
    schedule.finish(all[2].0);
    assert_eq!(schedule.take_done().as_deref(), Some("c1"));
}

#[test]
fn a_pause_holds_one_contact_and_no_job() {
    let (mut schedule, now) = (schedule(1, &["a1", "a2", "b1", "b2"]), Instant::now());
    let (number, task) = schedule.start(now).unwrap();
    schedule.retry(number, task, now + SECOND);
    assert_eq!(schedule.wakes_at(), Some(now + SECOND));
    let (b1, name) = schedule.start(now).unwrap();
    assert_eq!(name, "b1");
    assert_eq!(schedule.wakes_at(), None, "there is no free job");
    schedule.finish(b1);
    // The event that failed comes before later ones, once its pause is over.
    let (again, name) = schedule.start(now + SECOND).unwrap();
    assert_eq!((again, name.as_str()), (number, "a1"));
    schedule.finish(again);
    assert_eq!(schedule.start(now + SECOND).unwrap().1, "a2");
}

#[test]
fn what_did_not_run_can_not_end() {
    let (mut schedule, now) = (schedule(1, &["a1", "a2"]), Instant::now());
    let (number, task) = schedule.start(now).unwrap();
    schedule.finish(number);
    schedule.finish(number);
    schedule.retry(number, task, now);
    schedule.finish(Number(1));
    schedule.finish(Number(99));
    assert_eq!(schedule.running, 0);
    assert_eq!(schedule.take_done().as_deref(), Some("a1"));
    assert_eq!(names(&started(&mut schedule, now)), ["a2"]);
}

#[test]
fn events_and_bytes_are_bounded() {
    let mut schedule = Schedule::new(64);
    while schedule.has_room() {
        schedule.push("c".to_owned(), "a".to_owned(), 1, ());
    }
    assert_eq!(schedule.entries.len(), MAX_EVENTS);
    let mut schedule = Schedule::new(64);
    while schedule.has_room() {
        schedule.push("c".to_owned(), "a".to_owned(), MAX_BYTES / 4, ());
    }
    assert_eq!(schedule.entries.len(), 4);
    // Finished events no longer count in bytes.
    let (number, ()) = schedule.start(Instant::now()).unwrap();
    schedule.finish(number);
    assert!(schedule.has_room());
}

/// A small generator of random numbers, so that a failed schedule can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
}

/// What the model knows of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Waiting,
    Running,
    Paused(Instant),
    Finished,
}

/// The events in order, each with its contact, next to the schedule that is tested.
struct Model {
    jobs: usize,
    now: Instant,
    events: Vec<(usize, Seen)>,
    schedule: Schedule<usize>,
    acknowledged: usize,
}

impl Model {
    fn new(jobs: usize) -> Self {
        Self {
            jobs,
            now: Instant::now(),
            events: Vec::new(),
            schedule: Schedule::new(jobs),
            acknowledged: 0,
        }
    }

    fn push(&mut self, contact: usize) {
        let event = self.events.len();
        self.events.push((contact, Seen::Waiting));
        let (cursor, lane) = (event.to_string(), contact.to_string());
        self.schedule.push(cursor, lane, 100, event);
    }

    /// Starts all commands that may start, and checks each, and that no other could have started.
    fn start(&mut self) {
        while let Some((number, event)) = self.schedule.start(self.now) {
            assert_eq!(number.0, event as u64);
            assert_eq!(self.next(), Some(event), "the earliest one that may start");
            self.events[event].1 = Seen::Running;
            assert!(self.running().len() <= self.jobs);
        }
        assert_eq!(self.next(), None, "a command that may start does not");
    }

    /// Returns the event that must start next by the rules alone.
    fn next(&self) -> Option<usize> {
        let may = |event: &usize| {
            let (contact, seen) = self.events[*event];
            let earlier = self.events[..*event].iter();
            let free = earlier
                .filter(|(other, _)| *other == contact)
                .all(|(_, seen)| *seen == Seen::Finished);
            let due = match seen {
                Seen::Waiting => true,
                Seen::Paused(until) => until <= self.now,
                Seen::Running | Seen::Finished => false,
            };
            free && due
        };
        let has_job = self.running().len() < self.jobs;
        (0..self.events.len()).find(|event| has_job && may(event))
    }

    fn running(&self) -> Vec<usize> {
        let all = 0..self.events.len();
        all.filter(|event| self.events[*event].1 == Seen::Running)
            .collect()
    }

    fn end_one(&mut self, random: &mut Random) {
        let running = self.running();
        if running.is_empty() {
            return;
        }
        let event = running[random.below(running.len())];
        if random.below(4) == 0 {
            let until = self.now + SECOND * random.below(4) as u32;
            self.events[event].1 = Seen::Paused(until);
            self.schedule.retry(Number(event as u64), event, until);
        } else {
            self.events[event].1 = Seen::Finished;
            self.schedule.finish(Number(event as u64));
        }
    }

    fn acknowledge(&mut self) {
        let all = self.events.iter();
        let prefix = all.take_while(|(_, seen)| *seen == Seen::Finished).count();
        let expected = (prefix > self.acknowledged).then(|| (prefix - 1).to_string());
        assert_eq!(self.schedule.take_done(), expected);
        self.acknowledged = prefix;
    }

    /// Ends everything. A schedule that forgets an event never finishes.
    fn drain(&mut self, random: &mut Random) {
        while !self.schedule.is_finished() {
            self.start();
            if self.running().is_empty() {
                self.now = self.schedule.wakes_at().expect("nothing runs or waits");
            }
            self.end_one(random);
        }
        self.acknowledge();
        assert_eq!(self.acknowledged, self.events.len());
        assert!(self.schedule.lanes.is_empty() && self.schedule.paused.is_empty());
        assert_eq!((self.schedule.bytes, self.schedule.running), (0, 0));
    }
}

#[test]
fn random_schedules_keep_the_rules() {
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut model = Model::new(1 + random.below(8));
        let contacts = 1 + random.below(6);
        for _ in 0..200 {
            match random.below(6) {
                0 | 1 => model.push(random.below(contacts)),
                2 => model.start(),
                3 | 4 => model.end_one(&mut random),
                _ => model.now += SECOND / 2,
            }
            if random.below(3) == 0 {
                model.acknowledge();
            }
        }
        model.drain(&mut random);
    }
}
