//! From the broker to the daemon: commands, each until the daemon has its message.

use super::backoff;
use super::effect::{Effect, Notice};
use super::input::{Message, Sent};
use super::journal::{Delivery, Journal, Record};
use super::roster::Roster;
use crate::contact_id::ContactId;
use data_encoding::HEXLOWER;
use m2_limits::token_bucket::{Rate, TokenBucket};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The most commands in memory. The broker is asked to have at most half as many unacknowledged.
const MAX_COMMANDS: usize = 64;
/// The most of them for one contact that exceeds its rate, or has too many messages at the daemon.
const MAX_FOR_CONTACT: usize = 16;
/// The messages that one contact may be sent at once, and in each period from then on.
const BURST: u64 = 30;
const PERIOD: Duration = Duration::from_secs(1);
/// The longest text of a message, in bytes.
const MAX_TEXT: usize = 48 * 1024;

/// The commands that are neither sent nor refused.
#[derive(Debug)]
pub(super) struct Inbox {
    commands: VecDeque<Command>,
    number: u64,
    journal: Journal,
    /// Set when the journal has to be stored before further commands are sent.
    unrecorded: bool,
    recording: bool,
    record_failures: u32,
    record_not_before_ms: u64,
    buckets: BTreeMap<ContactId, TokenBucket>,
}

#[derive(Debug)]
struct Command {
    number: u64,
    contact: ContactId,
    text: String,
    key: String,
    packet: Option<u16>,
    /// Whether the delivery on this connection waits for an acknowledgement.
    due: bool,
    stage: Stage,
    /// Set if the daemon has too many messages for the contact.
    full: bool,
    failures: u32,
    not_before_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its entry in the journal may not be stored.
    Noted,
    /// Its entry is being stored.
    Recording,
    Ready,
    Sending,
}

impl Inbox {
    pub(super) fn new(records: Vec<Record>) -> Self {
        Self {
            commands: VecDeque::new(),
            number: 0,
            journal: Journal::new(records),
            unrecorded: false,
            recording: false,
            record_failures: 0,
            record_not_before_ms: 0,
            buckets: BTreeMap::new(),
        }
    }

    /// Takes a command from the broker.
    pub(super) fn take(
        &mut self,
        contact: &ContactId,
        message: Message,
        permitted: Result<(), Notice>,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        let checked = permitted.and_then(|()| check(&message));
        match checked {
            Err(notice) => refuse(message.packet, notice, effects),
            Ok(text) => self.note(contact, text, &message, now_ms, effects),
        }
    }

    /// Notes that the broker accepted a connection. Without the earlier session, it repeats nothing.
    pub(super) fn connect(&mut self, session_present: bool) {
        self.disconnect();
        if !session_present {
            self.journal.clear();
            self.unrecorded = true;
            for command in &mut self.commands {
                command.packet = None;
            }
        }
    }

    /// Notes that the connection ended: deliveries are repeated by the broker.
    pub(super) fn disconnect(&mut self) {
        self.journal.disconnect();
        for command in &mut self.commands {
            command.due = false;
        }
    }

    pub(super) fn pong(&mut self) {
        let before = self.journal.records().len();
        self.journal.pong();
        self.unrecorded |= before != self.journal.records().len();
    }

    /// Notes whether the journal was stored.
    pub(super) fn recorded(&mut self, stored: bool, now_ms: u64, effects: &mut Vec<Effect>) {
        self.recording = false;
        let stage = if stored { Stage::Ready } else { Stage::Noted };
        for command in &mut self.commands {
            if command.stage == Stage::Recording {
                command.stage = stage;
            }
        }
        if stored {
            self.record_failures = 0;
        } else {
            self.unrecorded = true;
            self.record_failures += 1;
            self.record_not_before_ms = now_ms + backoff(self.record_failures);
            effects.push(Effect::Tell(Notice::JournalFailed));
        }
    }

    /// Notes the daemon's answer.
    pub(super) fn sent(
        &mut self,
        number: u64,
        result: Sent,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        let is_it = |command: &Command| command.number == number;
        let Some(place) = self.commands.iter().position(is_it) else {
            return;
        };
        if matches!(result, Sent::Later | Sent::Full) {
            if let Some(command) = self.commands.get_mut(place) {
                command.full = result == Sent::Full;
                command.stage = Stage::Ready;
                command.failures += 1;
                command.not_before_ms = now_ms + backoff(command.failures);
            }
            return;
        }
        let Some(command) = self.commands.remove(place) else {
            return;
        };
        self.journal.settle(&command.key);
        let refused = match result {
            Sent::Refused(reason) => Some(Notice::DaemonRefused(reason)),
            _ => None,
        };
        if let Some(packet) = command.packet.filter(|_| command.due) {
            self.confirm(packet, refused.is_some(), effects);
        }
        effects.extend(refused.map(Effect::Tell));
    }

    /// Emits what can be done now: stores the journal, and sends the first command of each contact.
    pub(super) fn pump(&mut self, roster: &Roster, now_ms: u64, effects: &mut Vec<Effect>) {
        self.record(now_ms, effects);
        let mut busy = BTreeSet::new();
        for command in &mut self.commands {
            // The commands of a contact are sent one after the other, so that they arrive in order.
            if !busy.insert(command.contact.clone())
                || command.stage != Stage::Ready
                || command.not_before_ms > now_ms
            {
                continue;
            }
            let Some(peer_id) = roster.peer_id(&command.contact) else {
                continue;
            };
            let bucket = self.buckets.entry(command.contact.clone());
            let bucket = bucket.or_insert_with(|| full(now_ms));
            if command.failures == 0 && !bucket.take(1, now_ms) {
                continue;
            }
            command.stage = Stage::Sending;
            effects.push(Effect::Send {
                command: command.number,
                peer_id: peer_id.to_owned(),
                text: command.text.clone(),
                key: command.key.clone(),
            });
        }
    }

    /// Refuses the commands for a contact that is gone, and forgets its rate.
    pub(super) fn forget(&mut self, contact: &ContactId, effects: &mut Vec<Effect>) {
        self.buckets.remove(contact);
        let gone =
            |command: &Command| command.contact == *contact && command.stage != Stage::Sending;
        let numbers: Vec<u64> = self
            .commands
            .iter()
            .filter(|it| gone(it))
            .map(|it| it.number)
            .collect();
        for number in numbers {
            self.sent(number, Sent::Refused("CONTACT_UNKNOWN"), 0, effects);
        }
    }

    /// Returns the contacts for which commands wait.
    pub(super) fn contacts(&self) -> BTreeSet<ContactId> {
        let commands = self.commands.iter();
        commands.map(|command| command.contact.clone()).collect()
    }

    fn note(
        &mut self,
        contact: &ContactId,
        text: String,
        message: &Message,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        let key = self.key(contact, &text, message);
        if let Some(Delivery::Again { key, settled: true }) = &key
            && let Some(packet) = message.packet
        {
            tracing::debug!(key, "a repeated delivery of a message that was sent");
            return self.confirm(packet, false, effects);
        }
        let key = match key {
            Some(Delivery::New { key } | Delivery::Again { key, .. }) => key,
            None => stated_key(contact, message.stated_id.as_deref().unwrap_or_default()),
        };
        let mut commands = self.commands.iter_mut();
        if let Some(waiting) = commands.find(|it| it.key == key && it.text == text) {
            waiting.packet = message.packet;
            waiting.due = true;
            return;
        }
        if self.is_flooded(contact, now_ms) {
            self.journal.settle(&key);
            effects.push(Effect::Tell(Notice::Flood));
            if let Some(packet) = message.packet {
                self.confirm(packet, true, effects);
            }
            return;
        }
        self.push(contact, text, key, message);
    }

    /// Returns whether no further command for a contact is taken. While the daemon is away, all wait: then the broker keeps
    /// what exceeds its limit.
    fn is_flooded(&mut self, contact: &ContactId, now_ms: u64) -> bool {
        if self.commands.len() >= MAX_COMMANDS {
            return true;
        }
        let waiting = self.commands.iter().filter(|it| it.contact == *contact);
        let (count, full) =
            waiting.fold((0, false), |(count, full), it| (count + 1, full || it.full));
        let bucket = self.buckets.get_mut(contact);
        let is_too_fast = bucket.is_some_and(|bucket| bucket.level(now_ms) == 0);
        count >= MAX_FOR_CONTACT && (is_too_fast || full)
    }

    /// Returns how the journal knows the delivery. `None` if the publisher has stated what identifies the message.
    fn key(&mut self, contact: &ContactId, text: &str, message: &Message) -> Option<Delivery> {
        if message.stated_id.is_some() {
            return None;
        }
        let key = HEXLOWER.encode(&message.random);
        let Some(packet) = message.packet else {
            return Some(Delivery::New { key });
        };
        let delivery = self
            .journal
            .deliver(packet, message.dup, (contact, text), key);
        self.unrecorded |= matches!(delivery, Delivery::New { .. });
        Some(delivery)
    }

    fn push(&mut self, contact: &ContactId, text: String, key: String, message: &Message) {
        // The packet identifier now belongs to this message.
        for other in &mut self.commands {
            if other.packet == message.packet {
                other.packet = None;
            }
        }
        self.number += 1;
        let journalled = message.packet.is_some() && message.stated_id.is_none();
        self.commands.push_back(Command {
            number: self.number,
            contact: contact.clone(),
            text,
            key,
            packet: message.packet,
            due: message.packet.is_some(),
            stage: if journalled {
                Stage::Noted
            } else {
                Stage::Ready
            },
            full: false,
            failures: 0,
            not_before_ms: 0,
        });
    }

    fn confirm(&mut self, packet: u16, refused: bool, effects: &mut Vec<Effect>) {
        self.journal.confirm(packet);
        effects.push(Effect::Confirm { packet, refused });
    }

    fn record(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let noted = self.commands.iter().any(|it| it.stage == Stage::Noted);
        if self.recording || !(self.unrecorded || noted) || self.record_not_before_ms > now_ms {
            return;
        }
        for command in &mut self.commands {
            if command.stage == Stage::Noted {
                command.stage = Stage::Recording;
            }
        }
        self.recording = true;
        self.unrecorded = false;
        effects.push(Effect::Record(self.journal.records()));
    }
}

fn full(now_ms: u64) -> TokenBucket {
    TokenBucket::full(BURST, Rate::new(1, PERIOD), now_ms)
}

fn refuse(packet: Option<u16>, notice: Notice, effects: &mut Vec<Effect>) {
    effects.push(Effect::Tell(notice));
    effects.extend(packet.map(|packet| Effect::Confirm {
        packet,
        refused: true,
    }));
}

/// Returns the text of a command, or why it is not one.
fn check(message: &Message) -> Result<String, Notice> {
    if message.retain {
        return Err(Notice::RetainedCommand);
    }
    if message.marked {
        return Err(Notice::Loop);
    }
    let text = std::str::from_utf8(&message.payload).map_err(|_| Notice::BadCommand)?;
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(Notice::BadCommand);
    }
    Ok(text.to_owned())
}

fn stated_key(contact: &ContactId, id: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"m2-mqtt stated\0");
    hash.update(contact.to_string().as_bytes());
    hash.update([0]);
    hash.update(id);
    HEXLOWER.encode(&hash.finalize())
}
