//! The bridge, one input after the other.

use super::*;

pub(super) const ANN: &str = "m21ann";

pub(super) fn ann() -> ContactId {
    ContactId::of("m2", ANN)
}

pub(super) fn peer(peer_id: &str, name: &str) -> Peer {
    Peer {
        peer_id: peer_id.to_owned(),
        name: name.to_owned(),
        online: true,
        path: "direct",
    }
}

pub(super) fn received(cursor: u64, text: &str) -> Happening {
    Happening {
        cursor: cursor.to_string(),
        peer_id: ANN.to_owned(),
        name: "ann".to_owned(),
        kind: Kind::Message(Content {
            id: format!("id{cursor}"),
            text: Some(text.to_owned()),
            ..Content::default()
        }),
    }
}

pub(super) fn command(packet: u16, dup: bool, text: &str, random: u8) -> Message {
    Message {
        topic: Topics::new("m2", "homeassistant").command(&ann()),
        payload: text.as_bytes().to_vec(),
        packet: Some(packet),
        dup,
        random: [random; 16],
        ..Message::default()
    }
}

pub(super) const UP: Input = Input::BrokerUp {
    session_present: true,
    max_packet: usize::MAX,
};

/// A bridge with a clock, whose publications are acknowledged on demand.
struct Bench {
    bridge: Bridge,
    now_ms: u64,
    effects: Vec<Effect>,
}

impl Bench {
    /// Returns a bridge that is connected to both sides, and knows one contact.
    fn up() -> Self {
        let mut bench = Self {
            bridge: Bridge::new(Topics::new("m2", "homeassistant"), Vec::new()),
            now_ms: 0,
            effects: Vec::new(),
        };
        bench.put(Input::Contacts(vec![peer(ANN, "ann")]));
        bench.put(Input::DaemonUp { can_send: true });
        bench.put(UP);
        bench.acknowledge_all();
        bench.effects.clear();
        bench
    }

    fn put(&mut self, input: Input) {
        self.effects.extend(self.bridge.handle(input, self.now_ms));
    }

    fn later(&mut self, ms: u64) {
        self.now_ms += ms;
        self.put(Input::Tick);
    }

    /// Returns the publications that were not taken before: token, topic and payload.
    fn publications(&mut self) -> Vec<(u64, String, String)> {
        let mut publications = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::Publish {
                token,
                topic,
                payload,
                ..
            } => {
                publications.push((*token, topic.clone(), payload.clone()));
                false
            }
            _ => true,
        });
        publications
    }

    fn acknowledge_all(&mut self) {
        loop {
            let publications = self.publications();
            if publications.is_empty() {
                return;
            }
            for (token, ..) in publications {
                self.outcome(token, Outcome::Acknowledged);
            }
        }
    }

    fn outcome(&mut self, token: u64, outcome: Outcome) {
        self.put(Input::Published { token, outcome });
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Stores the journal, and returns the numbers and keys of the messages that are then sent.
    fn sends(&mut self) -> Vec<(u64, String)> {
        let records = |effect: &Effect| matches!(effect, Effect::Record(_));
        if self.effects.iter().any(records) {
            self.put(Input::Recorded(true));
        }
        let effects = self.take().into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::Send { command, key, .. } => Some((command, key)),
                _ => None,
            })
            .collect()
    }
}

fn confirms(effects: &[Effect]) -> Vec<(u16, bool)> {
    let of = |effect: &Effect| match effect {
        Effect::Confirm { packet, refused } => Some((*packet, *refused)),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn notices(effects: &[Effect]) -> Vec<Notice> {
    let of = |effect: &Effect| match effect {
        Effect::Tell(notice) => Some(*notice),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

#[test]
fn a_position_moves_only_after_the_broker_has_everything_before_it() {
    let mut bench = Bench::up();
    bench.put(Input::Event(received(1, "one")));
    bench.put(Input::Event(received(2, "two")));
    let published = bench.publications();
    let events: Vec<_> = published
        .iter()
        .filter(|(_, topic, _)| topic.ends_with("/event"))
        .collect();
    assert_eq!(events.len(), 2);
    bench.outcome(events[1].0, Outcome::Acknowledged);
    assert_eq!(bench.take(), [], "the first event is not there yet");
    bench.outcome(events[0].0, Outcome::Acknowledged);
    assert!(!bench.effects.contains(&Effect::Acknowledge("2".to_owned())));
    for (token, ..) in published
        .iter()
        .filter(|(_, topic, _)| topic.ends_with("/message"))
    {
        bench.outcome(*token, Outcome::Acknowledged);
    }
    bench.acknowledge_all();
    let stored = |effect: &Effect| matches!(effect, Effect::Acknowledge(_));
    assert!(bench.effects.iter().any(stored));
    bench.put(Input::Acknowledged(true));
    assert!(bench.effects.contains(&Effect::Acknowledge("2".to_owned())));
}

#[test]
fn what_was_not_acknowledged_is_published_on_the_next_connection() {
    let mut bench = Bench::up();
    bench.put(Input::Event(received(1, "one")));
    let lost = bench.publications();
    bench.put(Input::BrokerDown { too_large: false });
    bench.outcome(lost[0].0, Outcome::Acknowledged);
    assert_eq!(bench.take(), [], "an answer of the earlier connection");
    bench.put(UP);
    let again = bench.publications();
    assert!(
        again
            .iter()
            .any(|(_, topic, payload)| topic.ends_with("/event") && payload.contains("one"))
    );
    assert!(again.iter().any(|(_, topic, _)| topic == "m2/bridge"));
    let devices = again
        .iter()
        .filter(|(_, topic, _)| topic.starts_with("homeassistant/device/m2_"));
    assert_eq!(devices.count(), 1);
}

#[test]
fn a_silent_broker_costs_no_memory_and_a_new_connection() {
    let mut bench = Bench::up();
    let mut taken = 0;
    while bench.bridge.has_room() {
        taken += 1;
        bench.put(Input::Event(received(taken, "text")));
    }
    assert_eq!(taken, 64);
    assert!(bench.publications().len() <= 2 * WINDOW);
    bench.later(SILENCE_MS);
    assert!(notices(&bench.effects).contains(&Notice::BrokerSilent));
    assert!(bench.take().contains(&Effect::Disconnect));
    bench.put(Input::BrokerDown { too_large: false });
    bench.put(UP);
    bench.acknowledge_all();
    bench.put(Input::Acknowledged(true));
    assert!(
        bench
            .effects
            .contains(&Effect::Acknowledge("64".to_owned()))
    );
}

#[test]
fn an_event_that_the_broker_can_not_take_does_not_stop_the_others() {
    let mut bench = Bench::up();
    bench.put(Input::Event(received(1, &"x".repeat(20_000))));
    let mut refusals = 0;
    loop {
        let events = bench.publications();
        let Some((token, _, payload)) = events
            .iter()
            .find(|(_, topic, _)| topic.ends_with("/event"))
        else {
            break;
        };
        assert!(payload.contains("truncated"));
        bench.outcome(*token, Outcome::BadContent);
        for (token, topic, _) in &events {
            if !topic.ends_with("/event") {
                bench.outcome(*token, Outcome::Acknowledged);
            }
        }
        refusals += 1;
    }
    assert_eq!(refusals, 4);
    assert!(bench.effects.contains(&Effect::Acknowledge("1".to_owned())));
}

#[test]
fn a_retracted_message_is_no_longer_shown() {
    let mut bench = Bench::up();
    bench.put(Input::Event(received(1, "secret")));
    bench.acknowledge_all();
    let gone = |id: &str, cursor: &str| Happening {
        cursor: cursor.to_owned(),
        kind: Kind::Retracted { id: id.to_owned() },
        ..received(0, "")
    };
    bench.put(Input::Event(gone("other", "2")));
    let others = bench.publications();
    assert!(others.iter().all(|(_, topic, _)| topic.ends_with("/event")));
    bench.put(Input::Event(gone("id1", "3")));
    let cleared = bench.publications();
    let message = cleared
        .iter()
        .find(|(_, topic, _)| topic.ends_with("/message"));
    assert_eq!(message.unwrap().2, r#"{"state":null}"#);
}

#[test]
fn a_contact_that_is_gone_is_cleared_at_the_broker() {
    let mut bench = Bench::up();
    bench.put(Input::Contacts(Vec::new()));
    let cleared = bench.publications();
    assert_eq!(cleared.len(), 4);
    assert!(cleared.iter().all(|(_, _, payload)| payload.is_empty()));
    // One that was removed while no bridge ran shows itself by its retained presence.
    let id = ContactId::of("m2", "m21gone");
    let message = Message {
        topic: bench.bridge.topics.online(&id),
        payload: b"ON".to_vec(),
        retain: true,
        packet: Some(3),
        ..Message::default()
    };
    bench.put(Input::Message(message));
    assert_eq!(confirms(&bench.effects), [(3, false)]);
    assert_eq!(bench.publications().len(), 4);
}

#[test]
fn a_contact_with_a_new_name_keeps_its_device() {
    let mut bench = Bench::up();
    bench.put(Input::Contacts(vec![peer(ANN, "anna")]));
    let published = bench.publications();
    assert_eq!(published.len(), 1);
    assert!(published[0].1.contains(&ann().to_string()));
    assert!(published[0].2.contains("\"anna\""));
}

#[test]
fn devices_are_announced_again_when_home_assistant_starts() {
    let mut bench = Bench::up();
    let birth = || {
        Input::Message(Message {
            topic: "homeassistant/status".to_owned(),
            payload: b"online".to_vec(),
            ..Message::default()
        })
    };
    bench.put(birth());
    assert_eq!(bench.publications().len(), 1);
    for _ in 0..100 {
        bench.put(birth());
    }
    assert_eq!(bench.publications().len(), 0);
}

#[test]
fn a_command_is_acknowledged_only_after_the_daemon_has_it() {
    let mut bench = Bench::up();
    bench.put(Input::Message(command(1, false, "open", 1)));
    assert_eq!(confirms(&bench.effects), []);
    assert!(
        !bench
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Send { .. })),
        "it is in no journal yet"
    );
    let sends = bench.sends();
    assert_eq!(sends.len(), 1);
    let sent = |result| Input::Sent {
        command: sends[0].0,
        result,
    };
    bench.put(sent(Sent::Later));
    assert_eq!(bench.take(), []);
    bench.later(1_000);
    assert_eq!(bench.sends(), sends, "the same key");
    bench.put(sent(Sent::Stored));
    assert_eq!(confirms(&bench.take()), [(1, false)]);
}

#[test]
fn a_repetition_is_sent_once_and_two_equal_commands_twice() {
    let mut bench = Bench::up();
    bench.put(Input::Message(command(1, false, "open", 1)));
    let first = bench.sends();
    bench.put(Input::BrokerDown { too_large: false });
    bench.put(UP);
    bench.put(Input::Message(command(1, true, "open", 2)));
    bench.put(Input::Sent {
        command: first[0].0,
        result: Sent::Stored,
    });
    assert_eq!(confirms(&bench.effects), [(1, false)]);
    assert!(bench.sends().is_empty());
    // The acknowledgement is lost, and the broker repeats it.
    bench.put(Input::Message(command(1, true, "open", 3)));
    assert_eq!(confirms(&bench.effects), [(1, false)]);
    assert!(bench.sends().is_empty());
    bench.put(Input::Message(command(1, false, "open", 4)));
    let second = bench.sends();
    assert_ne!(
        first[0].1, second[0].1,
        "another message with the same text"
    );
}

#[test]
fn an_id_that_the_publisher_states_is_the_key() {
    let mut bench = Bench::up();
    let stated = |packet, random| Message {
        stated_id: Some(b"42".to_vec()),
        ..command(packet, false, "open", random)
    };
    bench.put(Input::Message(stated(1, 1)));
    let first = bench.sends();
    bench.put(Input::Sent {
        command: first[0].0,
        result: Sent::Stored,
    });
    bench.put(Input::Message(stated(2, 2)));
    assert_eq!(bench.sends()[0].1, first[0].1);
}

#[test]
fn commands_that_must_not_be_sent_are_refused() {
    let mut bench = Bench::up();
    let unknown = bench.bridge.topics.command(&ContactId::of("m2", "m21x"));
    let wrong = [
        (
            Notice::RetainedCommand,
            Message {
                retain: true,
                ..command(1, false, "x", 1)
            },
        ),
        (
            Notice::Loop,
            Message {
                marked: true,
                ..command(2, false, "x", 1)
            },
        ),
        (
            Notice::UnknownContact,
            Message {
                topic: unknown,
                ..command(3, false, "x", 1)
            },
        ),
        (Notice::BadCommand, command(4, false, "", 1)),
        (
            Notice::BadCommand,
            Message {
                payload: vec![0xff],
                ..command(5, false, "x", 1)
            },
        ),
        (
            Notice::BadCommand,
            command(6, false, &"x".repeat(48 * 1024 + 1), 1),
        ),
    ];
    for (notice, message) in wrong {
        let packet = message.packet.unwrap();
        bench.put(Input::Message(message));
        assert_eq!(notices(&bench.effects), [notice]);
        assert_eq!(confirms(&bench.effects), [(packet, true)]);
        assert!(bench.sends().is_empty());
    }
    bench.put(Input::DaemonUp { can_send: false });
    bench.take();
    bench.put(Input::Message(command(7, false, "x", 1)));
    assert_eq!(notices(&bench.effects), [Notice::MayNotSend]);
}

#[test]
fn a_flood_for_one_contact_does_not_stop_another() {
    let mut bench = Bench::up();
    bench.put(Input::Contacts(vec![
        peer(ANN, "ann"),
        peer("m21ben", "ben"),
    ]));
    bench.take();
    let mut sent = 0;
    for packet in 1..=200 {
        bench.put(Input::Message(command(
            packet,
            false,
            &packet.to_string(),
            0,
        )));
        for (command, _) in bench.sends() {
            sent += 1;
            let result = Sent::Stored;
            bench.put(Input::Sent { command, result });
        }
    }
    assert_eq!(sent, 30);
    assert_eq!(bench.bridge.inbox.contacts().len(), 1);
    let topic = bench.bridge.topics.command(&ContactId::of("m2", "m21ben"));
    bench.put(Input::Message(Message {
        topic,
        ..command(300, false, "hello", 0)
    }));
    assert_eq!(bench.sends().len(), 1);
    bench.later(1_000);
    assert_eq!(bench.sends().len(), 1, "one more each second");
}

#[test]
fn commands_wait_until_the_contacts_are_known() {
    let mut bridge = Bridge::new(Topics::new("m2", "homeassistant"), Vec::new());
    bridge.handle(UP, 0);
    let effects = bridge.handle(Input::Message(command(1, false, "x", 1)), 0);
    assert_eq!(confirms(&effects), []);
    let effects = bridge.handle(Input::Contacts(Vec::new()), 0);
    assert_eq!(confirms(&effects), [(1, true)]);
}

#[test]
fn a_journal_that_can_not_be_written_holds_commands_back() {
    let mut bench = Bench::up();
    bench.put(Input::Message(command(1, false, "open", 1)));
    bench.put(Input::Recorded(false));
    assert_eq!(notices(&bench.effects), [Notice::JournalFailed]);
    assert!(
        !bench
            .take()
            .iter()
            .any(|effect| matches!(effect, Effect::Send { .. }))
    );
    bench.later(1_000);
    assert_eq!(bench.sends().len(), 1);
}
