//! Engines that become contacts and talk in a simulated world, on real stores. Daemons are killed before
//! and after commits, sessions end and cross, and the checker compares what each side was told with
//! what both stores hold in the end. Flawed drivers show that it notices a broken promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod daemon;
mod deposits;
mod letters;
mod network;
mod post;
mod requests;
mod rules;

use daemon::{End, Flaw};
use m2_core::ContactState;
use m2_delivery::Content;
use m2_engine::{
    ContactRequest, ContactView, InvitationRequest, MessageRequest, NewInvitation, NewMessage,
    Refusal, SentMessage,
};
use m2_store::InvitationRow;
use network::{Seen, World};
use rand::{Rng as _, RngExt as _};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

const SCHEDULES: u64 = 80;
const STEPS: u32 = 100;

type Pending<T> = oneshot::Receiver<Result<T, Refusal>>;

/// An invitation with its URI.
type Made = (InvitationRow, Zeroizing<String>);

/// A schedule: a world with the requests of its users.
struct Schedule {
    world: World,
    /// Invitations that are not answered yet, each with its host and its guest.
    invitations: Vec<(usize, usize, Pending<Made>)>,
    added: Vec<Pending<ContactView>>,
    /// Messages that are not answered yet: the sender, the receiver, the number in the text.
    sent: Vec<(usize, usize, u64, Pending<SentMessage>)>,
    /// The numbers of messages whose sending was acknowledged.
    acknowledged: BTreeMap<(usize, usize), BTreeSet<u64>>,
    /// Pairs of which one removed or blocked the other: its messages may be given up.
    parted: BTreeSet<(usize, usize)>,
    /// Pairs that may have become contacts again. A letter of the time before, which arrives late, is shown
    /// out of order (docs/spec/delivery.md#places).
    renewed: BTreeSet<(usize, usize)>,
    number: u64,
}

impl Schedule {
    fn new(seed: u64, flaw: Flaw) -> Self {
        Self {
            world: World::new(seed, flaw),
            invitations: Vec::new(),
            added: Vec::new(),
            sent: Vec::new(),
            acknowledged: BTreeMap::new(),
            parted: BTreeSet::new(),
            renewed: BTreeSet::new(),
            number: 0,
        }
    }

    /// Runs random steps, lets the world settle, and returns what went wrong.
    fn run(mut self, steps: u32) -> (Vec<String>, Seen) {
        for (one, other) in [(0, 1), (1, 2)] {
            self.invite(one, other);
        }
        if self.world.rng.random_range(0..2) == 0 {
            (0..3).for_each(|owner| self.world.register_at(owner, (owner + 1) % 3));
        }
        // Most schedules begin with contacts that talk.
        if self.world.rng.random_range(0..4) > 0 {
            self.world.run(0, End::Whole);
            self.world.run(1, End::Whole);
            self.take_answers();
            self.world.settle();
        }
        for (one, other) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
            self.world.consent(one, other);
        }
        self.world.settle();
        for _ in 0..steps {
            self.step();
        }
        (0..3).for_each(|owner| self.world.collect_some(owner));
        self.world.settle();
        self.take_answers();
        self.check();
        (self.world.errors, self.world.seen)
    }

    fn step(&mut self) {
        let (one, other) = (self.pick(), self.pick());
        match self.world.rng.random_range(0..100) {
            0..25 => self.send(one, other),
            25..40 => drop(self.world.connect(one, other)),
            40..45 => self.world.cut(one, other),
            45..47 => {
                self.renewed.insert((one.min(other), one.max(other)));
                self.invite(one, other);
            }
            47 => self.part(one, other),
            48..52 => self.world.pass(self.number * 100),
            90..94 => self.world.consent(one, other),
            94..97 => self.world.deposit_some(one),
            97..100 => self.world.collect_some(one),
            52..54 => self.world.run(one, End::KilledBefore),
            54..56 => self.world.run(one, End::KilledAfter),
            56..70 => self.world.run(one, End::Whole),
            70..80 => drop(self.world.deliver()),
            _ => self.turn(),
        }
        self.take_answers();
    }

    /// Lets some frames arrive, and each daemon process what waits.
    fn turn(&mut self) {
        for _ in 0..8 {
            self.world.deliver();
        }
        for daemon in 0..self.world.daemons.len() {
            self.world.run(daemon, End::Whole);
        }
    }

    fn pick(&mut self) -> usize {
        self.world.rng.next_u32() as usize % self.world.daemons.len()
    }

    fn invite(&mut self, host: usize, guest: usize) {
        if host == guest {
            return;
        }
        let new = NewInvitation {
            reusable: false,
            valid_ms: 86_400_000,
            contact_name: String::new(),
            addresses: Vec::new(),
        };
        let made = self.world.daemons[host].ask(|reply| InvitationRequest::Create(new, reply));
        self.invitations.push((host, guest, made));
    }

    fn send(&mut self, from: usize, to: usize) {
        self.number += 1;
        let message = NewMessage {
            contact: self.world.id(to).to_string(),
            content: Content::new("", self.number.to_string()).unwrap(),
            ttl_s: 0,
            caller: String::new(),
            key: String::new(),
        };
        let sent = self.world.daemons[from].ask(|reply| MessageRequest::Send(message, reply));
        self.sent.push((from, to, self.number, sent));
    }

    fn part(&mut self, one: usize, other: usize) {
        if one == other {
            return;
        }
        self.parted.insert((one.min(other), one.max(other)));
        let contact = self.world.id(other).to_string();
        let blocks = self.world.rng.random_range(0..3) == 0;
        let removed = self.world.daemons[one].ask(|reply| match blocks {
            true => ContactRequest::Block(contact, reply),
            false => ContactRequest::Remove {
                contact,
                history: false,
                reply,
            },
        });
        drop(removed);
    }

    /// Takes the answers that have arrived. A request of a daemon that was killed has none.
    fn take_answers(&mut self) {
        let invitations = std::mem::take(&mut self.invitations);
        for (host, guest, mut made) in invitations {
            match made.try_recv() {
                Ok(Ok((_, uri))) => {
                    let (invitation, name) = (uri.to_string(), String::new());
                    let added = self.world.daemons[guest].ask(|reply| ContactRequest::Add {
                        invitation,
                        name,
                        reply,
                    });
                    self.added.push(added);
                }
                Err(oneshot::error::TryRecvError::Empty) => {
                    self.invitations.push((host, guest, made));
                }
                _ => {}
            }
        }
        for (from, to, number, mut sent) in std::mem::take(&mut self.sent) {
            match sent.try_recv() {
                Ok(Ok(_)) => {
                    self.acknowledged
                        .entry((from, to))
                        .or_default()
                        .insert(number);
                }
                Err(oneshot::error::TryRecvError::Empty) => {
                    self.sent.push((from, to, number, sent))
                }
                _ => {}
            }
        }
    }

    fn check(&mut self) {
        for from in 0..self.world.daemons.len() {
            for to in 0..self.world.daemons.len() {
                if from != to {
                    self.check_pair(from, to);
                }
            }
        }
    }

    fn check_pair(&mut self, from: usize, to: usize) {
        let (sender, receiver) = (self.world.id(from), self.world.id(to));
        let received = self.world.daemons[to].messages(sender);
        let received: Vec<u64> = received
            .iter()
            .filter(|message| !message.own)
            .map(|message| {
                let text = String::from_utf8(message.content.clone().unwrap()).unwrap();
                text.parse().unwrap()
            })
            .collect();
        let mut sorted = received.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != received.len() {
            self.error(from, to, format!("messages arrived twice: {received:?}"));
        }
        if self.parted.contains(&(from.min(to), from.max(to))) {
            return;
        }
        let has_letters = !self.world.letters.is_empty();
        let is_renewed = self.renewed.contains(&(from.min(to), from.max(to)));
        if sorted != received && !(has_letters && is_renewed) {
            self.error(
                from,
                to,
                format!("messages arrived out of order: {received:?}"),
            );
        }
        let acknowledged = self.acknowledged.remove(&(from, to)).unwrap_or_default();
        let lost: Vec<&u64> = acknowledged
            .iter()
            .filter(|it| !received.contains(it))
            .collect();
        if !lost.is_empty() {
            self.error(from, to, format!("messages did not arrive: {lost:?}"));
        }
        let states = [(from, receiver), (to, sender)].map(|(daemon, peer)| {
            let view = self.world.daemons[daemon].contact(peer);
            view.ok().map(|view| view.row.state)
        });
        let agree = match states {
            [one, other] if one == other => true,
            // The host of a used or lost invitation may not have been reached.
            [Some(ContactState::Asked), _] | [_, Some(ContactState::Asked)] => true,
            _ => false,
        };
        if !agree {
            self.error(from, to, format!("the two disagree: {states:?}"));
        }
    }

    fn error(&mut self, from: usize, to: usize, text: String) {
        self.world
            .errors
            .push(format!("from {from} to {to}: {text}"));
    }
}

#[test]
fn no_schedule_breaks_a_promise() {
    let schedules = std::env::var("M2_SCHEDULES").ok();
    let schedules = schedules
        .and_then(|text| text.parse().ok())
        .unwrap_or(SCHEDULES);
    let mut all = Vec::new();
    for seed in 0..schedules {
        let (errors, seen) = Schedule::new(seed, Flaw::None).run(STEPS);
        assert_eq!(errors, [""; 0], "seed {seed}");
        all.push(seen);
    }
    // The schedules reach what they are for.
    let total = |count: fn(&Seen) -> u64| all.iter().map(count).sum::<u64>();
    assert!(total(|seen| seen.kills_before) > 20);
    assert!(total(|seen| seen.kills_after) > 20);
    assert!(total(|seen| seen.crossed) > 5);
    assert!(total(|seen| seen.grants) > 100);
    assert!(total(|seen| seen.frames) > 2_000);
    assert!(total(|seen| seen.deposits) > 20);
    assert!(total(|seen| seen.collected) > 20);
    let orders: BTreeSet<_> = all.iter().flat_map(|seen| &seen.orders).collect();
    assert_eq!(orders.len(), 5, "{orders:?}");
    let treated: BTreeSet<_> = all.iter().flat_map(|seen| &seen.treated).collect();
    assert_eq!(treated.len(), 3, "{treated:?}");
    let closes: BTreeSet<_> = all.iter().flat_map(|seen| seen.closes.keys()).collect();
    println!("{schedules} schedules ended sessions with the codes {closes:?}");
}

#[test]
fn the_checker_notices_each_flaw() {
    for flaw in [Flaw::CommitsLate, Flaw::LosesFrames, Flaw::LosesEnds] {
        let noticed = (0..40).any(|seed| !Schedule::new(seed, flaw).run(STEPS).0.is_empty());
        assert!(noticed, "{flaw:?}");
    }
}
