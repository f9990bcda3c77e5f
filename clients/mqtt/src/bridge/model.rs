//! A daemon, a broker and the bridge, all of which crash at random: no event and no command is lost, and no command is
//! sent twice.

use super::tests::{ANN, command, peer, received};
use super::*;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::VecDeque;

const RUNS: u64 = 300;
const STEPS: usize = 400;
/// Texts repeat, so that equal commands occur.
const TEXTS: [&str; 3] = ["open", "shut", "open the other"];

/// What the runs have covered.
#[derive(Debug, Default)]
struct Covered {
    events_again: usize,
    commands_again: usize,
    keys_again: usize,
    journals_lost: usize,
}

/// The daemon: its log, the stored position, and the messages that it has accepted.
#[derive(Default)]
struct DaemonModel {
    log: u64,
    stored: u64,
    up: bool,
    messages: Vec<(String, String)>,
}

impl DaemonModel {
    fn has_message(&self, key: &str) -> bool {
        self.messages.iter().any(|(known, _)| known == key)
    }
}

/// The broker, which keeps its session and its queue when it crashes, as one with persistence does.
#[derive(Default)]
struct BrokerModel {
    up: bool,
    packet: u16,
    /// Commands that are not acknowledged: packet identifier, text, and whether they were delivered before.
    unacknowledged: VecDeque<(u16, String, bool)>,
    /// Those that are to be delivered on this connection.
    to_deliver: VecDeque<u16>,
    published: Vec<String>,
    /// The events that subscribers have received.
    seen: Vec<u64>,
}

struct World {
    random: StdRng,
    bridge: Bridge,
    disk: Vec<Record>,
    daemon: DaemonModel,
    broker: BrokerModel,
    /// The next event that the daemon's stream passes on; `None` without a stream.
    stream: Option<u64>,
    /// What the bridge has asked for and is not done.
    wire: VecDeque<Effect>,
    calls: VecDeque<Effect>,
    now_ms: u64,
    covered: Covered,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            bridge: Bridge::new(Topics::new("m2", ""), Vec::new()),
            disk: Vec::new(),
            daemon: DaemonModel::default(),
            broker: BrokerModel::default(),
            stream: None,
            wire: VecDeque::new(),
            calls: VecDeque::new(),
            now_ms: 0,
            covered: Covered::default(),
        }
    }

    fn put(&mut self, input: Input) {
        for effect in self.bridge.handle(input, self.now_ms) {
            match effect {
                Effect::Publish { .. } | Effect::Confirm { .. } if self.broker.up => {
                    self.wire.push_back(effect)
                }
                Effect::Acknowledge(_) | Effect::Send { .. } | Effect::Record(_) => {
                    self.calls.push_back(effect)
                }
                Effect::Disconnect => self.broker_down(),
                _ => {}
            }
        }
    }

    fn step(&mut self) {
        match self.random.random_range(0..24) {
            0 => self.daemon.log += 1,
            1 => self.publish_command(),
            2 => self.daemon_down(),
            3 => self.broker_down(),
            4 if self.random.random_bool(0.5) => self.crash_bridge(),
            5 => self.pong(),
            6..10 => self.progress(),
            _ => self.deliver(),
        }
        self.now_ms += self.random.random_range(0..500);
    }

    /// One thing that happens without faults.
    fn progress(&mut self) {
        if !self.daemon.up {
            self.daemon.up = true;
            self.stream = Some(self.stream.unwrap_or(self.daemon.stored + 1));
            self.put(Input::Contacts(vec![peer(ANN, "ann")]));
            self.put(Input::DaemonUp { can_send: true });
        }
        if !self.broker.up {
            self.broker.up = true;
            self.broker.to_deliver = self.broker.unacknowledged.iter().map(|it| it.0).collect();
            self.put(Input::BrokerUp {
                session_present: true,
                max_packet: usize::MAX,
            });
        }
        self.put(Input::Tick);
    }

    fn deliver(&mut self) {
        match self.random.random_range(0..4) {
            0 => self.deliver_event(),
            1 => self.deliver_command(),
            2 => self.finish_wire(),
            _ => self.finish_call(),
        }
    }

    fn deliver_event(&mut self) {
        let Some(next) = self
            .stream
            .filter(|next| self.daemon.up && *next <= self.daemon.log)
        else {
            return;
        };
        if self.bridge.has_room() {
            self.stream = Some(next + 1);
            self.put(Input::Event(received(next, "text")));
        }
    }

    fn deliver_command(&mut self) {
        let Some(packet) = self.broker.to_deliver.pop_front() else {
            return;
        };
        let mut commands = self.broker.unacknowledged.iter_mut();
        let Some((_, text, delivered)) = commands.find(|it| it.0 == packet) else {
            return;
        };
        let (text, dup) = (text.clone(), *delivered);
        *delivered = true;
        self.covered.commands_again += usize::from(dup);
        // The connection may break before the bridge has it.
        if self.random.random_bool(0.1) {
            return self.broker_down();
        }
        let random = self.random.random();
        self.put(Input::Message(Message {
            random,
            ..command(packet, dup, &text, 0)
        }));
    }

    fn publish_command(&mut self) {
        let text = TEXTS[self.random.random_range(0..TEXTS.len())].to_owned();
        self.broker.packet += 1;
        let packet = self.broker.packet;
        self.broker.published.push(text.clone());
        self.broker.unacknowledged.push_back((packet, text, false));
        if self.broker.up {
            self.broker.to_deliver.push_back(packet);
        }
    }

    /// The broker handles the first packet of the bridge.
    fn finish_wire(&mut self) {
        match self.wire.pop_front() {
            Some(Effect::Publish {
                token,
                topic,
                payload,
                ..
            }) => {
                if topic.ends_with("/event") {
                    let json: serde_json::Value = serde_json::from_str(&payload).unwrap();
                    let id = json["message_id"]
                        .as_str()
                        .unwrap()
                        .strip_prefix("id")
                        .unwrap();
                    let event = id.parse().unwrap();
                    self.covered.events_again += usize::from(self.broker.seen.contains(&event));
                    self.broker.seen.push(event);
                }
                let outcome = if self.random.random_bool(0.05) {
                    Outcome::Refused
                } else {
                    Outcome::Acknowledged
                };
                self.put(Input::Published { token, outcome });
            }
            Some(Effect::Confirm { packet, .. }) => {
                self.broker.unacknowledged.retain(|it| it.0 != packet);
            }
            _ => {}
        }
    }

    /// The broker answers a ping. It has handled all earlier packets by then.
    fn pong(&mut self) {
        let confirms = |effect: &Effect| matches!(effect, Effect::Confirm { .. });
        if self.broker.up && !self.wire.iter().any(confirms) {
            self.put(Input::Pong);
        }
    }

    /// The daemon or the disk handles the first call of the bridge.
    fn finish_call(&mut self) {
        match self.calls.pop_front() {
            Some(Effect::Acknowledge(cursor)) => {
                let cursor: u64 = cursor.parse().unwrap();
                if self.daemon.up {
                    self.daemon.stored = self.daemon.stored.max(cursor);
                }
                // The answer may be lost.
                let answered = self.daemon.up && self.random.random_bool(0.9);
                self.put(Input::Acknowledged(answered));
            }
            Some(Effect::Send {
                command, text, key, ..
            }) => self.send(command, text, key),
            Some(Effect::Record(records)) => {
                let stored = self.random.random_bool(0.9);
                self.covered.journals_lost += usize::from(!stored);
                if stored {
                    self.disk = records;
                }
                self.put(Input::Recorded(stored));
            }
            _ => {}
        }
    }

    fn send(&mut self, command: u64, text: String, key: String) {
        if self.daemon.up {
            let known = self.daemon.has_message(&key);
            self.covered.keys_again += usize::from(known);
            if !known {
                self.daemon.messages.push((key, text));
            }
        }
        let answered = self.daemon.up && self.random.random_bool(0.8);
        let result = if answered { Sent::Stored } else { Sent::Later };
        self.put(Input::Sent { command, result });
    }

    fn daemon_down(&mut self) {
        self.daemon.up = false;
        self.put(Input::DaemonDown);
    }

    fn broker_down(&mut self) {
        self.broker.up = false;
        self.broker.to_deliver.clear();
        self.wire.clear();
        self.put(Input::BrokerDown { too_large: false });
    }

    /// The bridge is killed. Calls that are on their way may still arrive.
    fn crash_bridge(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        self.wire.clear();
        self.broker.up = false;
        self.daemon.up = false;
        self.stream = None;
        for call in calls {
            match call {
                Effect::Send { text, key, .. }
                    if self.random.random_bool(0.5) && !self.daemon.has_message(&key) =>
                {
                    self.daemon.messages.push((key, text));
                }
                Effect::Record(records) if self.random.random_bool(0.5) => self.disk = records,
                _ => {}
            }
        }
        self.bridge = Bridge::new(Topics::new("m2", ""), self.disk.clone());
    }

    /// Runs without crashes until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            let all_commands = self.broker.unacknowledged.is_empty();
            if all_commands && self.daemon.stored == self.daemon.log {
                return;
            }
            self.progress();
            self.deliver();
            self.now_ms += 500;
        }
        panic!("the bridge makes no progress: {:?}", self.bridge);
    }

    fn check(&self) {
        for event in 1..=self.daemon.log {
            assert!(self.broker.seen.contains(&event), "event {event} is lost");
        }
        for text in TEXTS {
            let published = self
                .broker
                .published
                .iter()
                .filter(|it| *it == text)
                .count();
            let sent = self
                .daemon
                .messages
                .iter()
                .filter(|(_, it)| it == text)
                .count();
            assert_eq!(sent, published, "{text}");
        }
    }
}

#[test]
fn nothing_is_lost_when_all_three_crash() {
    let mut covered = Covered::default();
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
        world.check();
        covered.events_again += world.covered.events_again;
        covered.commands_again += world.covered.commands_again;
        covered.keys_again += world.covered.keys_again;
        covered.journals_lost += world.covered.journals_lost;
    }
    let all = [
        covered.events_again,
        covered.commands_again,
        covered.keys_again,
        covered.journals_lost,
    ];
    assert!(all.iter().all(|count| *count > 100), "{covered:?}");
}
