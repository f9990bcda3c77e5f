//! Recognises contacts that dial, by a secret that only the two share
//! (docs/spec/obfuscation.md#call-tokens), and gives them priority.
//!
//! A caller proves its identity by the token in its first packet, before any RSA work. The secret
//! belongs to the pair, so a stranger can't earn a token by completing sessions; a peer that stops
//! being a contact loses its token at that moment.

use m2_crypto::initial::MAX_CID_LEN;
use m2_crypto::{PeerId, Secret, label};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq;

/// The size of a token in bytes: a hint that identifies the contact, and a proof for this attempt.
pub const TOKEN_BYTES: usize = 2 * PART;
const PART: usize = 16;

const HOUR_S: u64 = 3_600;
/// The burst of prioritised connection attempts of one contact, and the seconds until one more is
/// allowed.
const BURST: u64 = 4;
const EVERY_S: u64 = 5;
/// How long a prioritised attempt is remembered, in seconds: it may be asked to prove its address.
const CALL_S: u64 = 30;
/// The number of remembered prioritised attempts; the oldest are evicted first.
const CALLS: usize = 1_024;

type Hint = [u8; PART];
type CallId = [u8; MAX_CID_LEN];

/// The contacts of a daemon, as its endpoint knows them. Bounded by their number.
#[derive(Default)]
pub struct Callers(Mutex<State>);

#[derive(Default)]
struct State {
    contacts: HashMap<PeerId, Contact>,
    hints: HashMap<Hint, PeerId>,
    /// The hour for which the hints were computed.
    hour: u64,
    calls: HashMap<CallId, Call>,
    order: VecDeque<(CallId, u64)>,
}

/// The first packet of a connection attempt, after it was authenticated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstPacket<'a> {
    /// The destination id of the packet.
    pub(crate) to: &'a [u8],
    /// The contents of its token field.
    pub(crate) token: &'a [u8],
    /// True if the caller has retransmitted its Hello: its attempt is then at least a second old.
    pub(crate) is_repeated: bool,
}

/// A connection attempt of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    /// The contact.
    pub(crate) peer: PeerId,
    /// True if the caller has retransmitted its Hello.
    pub(crate) is_repeated: bool,
}

struct Contact {
    /// The secret for dialling it.
    ours: Secret<32>,
    /// The secret for being dialled by it.
    theirs: Secret<32>,
    /// When its allowance was or will be full again, Unix time in seconds.
    whole_at: u64,
}

impl Callers {
    /// Registers a contact for priority, with which this daemon shares two secrets: `ours` for dialling
    /// it and `theirs` for being dialled by it. `own_id` is the local peer id.
    pub fn know(&self, own_id: &PeerId, peer: PeerId, ours: Secret<32>, theirs: Secret<32>) {
        let mut state = self.lock();
        let old = state.contacts.get(&peer);
        let is_same = old.is_some_and(|old| {
            bool::from(old.theirs.expose().ct_eq(theirs.expose()))
                && bool::from(old.ours.expose().ct_eq(ours.expose()))
        });
        if is_same {
            return;
        }
        state.forget(&peer);
        for hint in hints(&theirs, own_id, state.hour) {
            state.hints.insert(hint, peer);
        }
        let contact = Contact {
            ours,
            theirs,
            whole_at: 0,
        };
        state.contacts.insert(peer, contact);
    }

    /// Removes a peer's priority, because it is no longer a contact.
    pub fn forget(&self, peer: &PeerId) {
        self.lock().forget(peer);
    }

    /// Returns the token for a dial of `peer` whose first packet goes to the id `call`; `None` if
    /// the peer is not a contact.
    pub(crate) fn token_for(&self, peer: &PeerId, call: &[u8], now_s: u64) -> Option<Vec<u8>> {
        let state = self.lock();
        let secret = &state.contacts.get(peer)?.ours;
        let mut token = hint(secret, peer, now_s / HOUR_S).to_vec();
        token.extend_from_slice(&proof(secret, peer, call));
        Some(token)
    }

    /// Records a first packet if its token is that of a contact.
    pub(crate) fn note(&self, own_id: &PeerId, packet: &FirstPacket<'_>, now_s: u64) {
        let (Ok(to), Some(token)) = (CallId::try_from(packet.to), split(packet.token)) else {
            return;
        };
        self.lock()
            .note(own_id, to, token, packet.is_repeated, now_s);
    }

    /// Returns a contact's connection attempt by the destination id of its first packet.
    pub(crate) fn call(&self, call: &[u8]) -> Option<Call> {
        let call = CallId::try_from(call).ok()?;
        self.lock().calls.get(&call).copied()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No update under this lock can be interrupted halfway, so a poisoned lock is still
        // consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(
        &mut self,
        own_id: &PeerId,
        call: CallId,
        (hint, claimed): (&Hint, &Hint),
        is_repeated: bool,
        now_s: u64,
    ) {
        self.prepare_hints(own_id, now_s / HOUR_S);
        self.forget_old_calls(now_s);
        if let Some(known) = self.calls.get_mut(&call) {
            known.is_repeated |= is_repeated;
            return;
        }
        let Some(peer) = self.hints.get(hint).copied() else {
            return;
        };
        let Some(contact) = self.contacts.get_mut(&peer) else {
            return;
        };
        let proven = proof(&contact.theirs, own_id, &call).ct_eq(claimed);
        if !bool::from(proven) || !contact.may_call(now_s) {
            return;
        }
        self.calls.insert(call, Call { peer, is_repeated });
        self.order.push_back((call, now_s));
    }

    fn prepare_hints(&mut self, own_id: &PeerId, hour: u64) {
        if self.hour == hour {
            return;
        }
        self.hour = hour;
        self.hints = self
            .contacts
            .iter()
            .flat_map(|(peer, contact)| {
                hints(&contact.theirs, own_id, hour).map(|hint| (hint, *peer))
            })
            .collect();
    }

    fn forget_old_calls(&mut self, now_s: u64) {
        while let Some((call, at)) = self.order.front() {
            if self.order.len() < CALLS && now_s.saturating_sub(*at) <= CALL_S {
                return;
            }
            self.calls.remove(call);
            self.order.pop_front();
        }
    }

    fn forget(&mut self, peer: &PeerId) {
        if self.contacts.remove(peer).is_some() {
            self.hints.retain(|_, other| other != peer);
            self.calls.retain(|_, call| call.peer != *peer);
        }
    }
}

impl Contact {
    /// Takes one attempt from the contact's allowance, if there is any.
    fn may_call(&mut self, now_s: u64) -> bool {
        // A clock that was briefly ahead must not lock the contact out until that time.
        let latest = now_s.saturating_add(BURST * EVERY_S);
        self.whole_at = self.whole_at.clamp(now_s, latest);
        let after = self.whole_at.saturating_add(EVERY_S);
        if after > latest {
            return false;
        }
        self.whole_at = after;
        true
    }
}

/// Returns the hints accepted in an hour, including those of the adjacent hours, because clocks
/// differ.
fn hints(secret: &Secret<32>, callee: &PeerId, hour: u64) -> [Hint; 3] {
    [hour.saturating_sub(1), hour, hour.saturating_add(1)].map(|hour| hint(secret, callee, hour))
}

fn hint(secret: &Secret<32>, callee: &PeerId, hour: u64) -> Hint {
    let fields = [&callee.as_bytes()[..], &hour.to_be_bytes()];
    first_half(&label::mac(secret.expose(), "call token hint", &fields))
}

fn proof(secret: &Secret<32>, callee: &PeerId, call: &[u8]) -> Hint {
    let fields = [&callee.as_bytes()[..], call];
    first_half(&label::mac(secret.expose(), "call token", &fields))
}

fn first_half(mac: &[u8; 2 * PART]) -> Hint {
    let mut half = [0; PART];
    for (to, from) in half.iter_mut().zip(mac) {
        *to = *from;
    }
    half
}

fn split(token: &[u8]) -> Option<(&Hint, &Hint)> {
    let (hint, rest) = token.split_first_chunk()?;
    Some((hint, rest.try_into().ok()?))
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callers(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const ALICE: PeerId = PeerId::from_bytes([1; 32]);
    const BOB: PeerId = PeerId::from_bytes([2; 32]);

    fn secret(byte: u8) -> Secret<32> {
        Secret::new([byte; 32])
    }

    /// `tests/vectors/call_token.json`. `M2_WRITE_VECTORS=1` regenerates it.
    #[test]
    fn a_token_is_that_of_the_vectors() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/vectors/call_token.json"
        );
        let (callers, call) = (Callers::default(), [0xd0; 20]);
        callers.know(&ALICE, BOB, secret(0x11), secret(0x22));
        let token = callers.token_for(&BOB, &call, NOW).unwrap();
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let made = serde_json::json!({
            "about": "docs/spec/obfuscation.md, call tokens",
            "secret": hex(&[0x11; 32]),
            "responderPeerId": hex(BOB.as_bytes()),
            "nowS": NOW,
            "hour": NOW / 3_600,
            "firstDestinationId": hex(&call),
            "token": hex(&token),
        });
        if std::env::var_os("M2_WRITE_VECTORS").is_some() {
            let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
            std::fs::write(path, text).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap();
        let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored, made);
    }

    /// Returns the states of alice and bob, who are contacts of each other.
    fn pair() -> (Callers, Callers) {
        let (alice, bob) = (Callers::default(), Callers::default());
        alice.know(&ALICE, BOB, secret(7), secret(8));
        bob.know(&BOB, ALICE, secret(8), secret(7));
        (alice, bob)
    }

    fn note(callers: &Callers, own: &PeerId, to: &CallId, token: &[u8], now: u64) {
        let is_repeated = false;
        let packet = FirstPacket {
            to,
            token,
            is_repeated,
        };
        callers.note(own, &packet, now);
    }

    fn call(number: u8) -> CallId {
        [number; MAX_CID_LEN]
    }

    #[test]
    fn a_contact_is_recognised_by_a_token_bound_to_one_attempt() {
        let (alice, bob) = pair();
        let token = alice.token_for(&BOB, &call(1), NOW).unwrap();
        assert_eq!(token.len(), TOKEN_BYTES);
        note(&bob, &BOB, &call(2), &token, NOW);
        assert!(bob.call(&call(2)).is_none());
        for at in 0..TOKEN_BYTES {
            let mut altered = token.clone();
            altered[at] ^= 1;
            note(&bob, &BOB, &call(1), &altered, NOW);
            note(&bob, &BOB, &call(1), &token[..at], NOW);
        }
        // A token of the other direction is not valid for alice.
        note(&alice, &ALICE, &call(1), &token, NOW);
        assert!(bob.call(&call(1)).is_none() && alice.call(&call(1)).is_none());
        note(&bob, &BOB, &call(1), &token, NOW);
        assert_eq!(bob.call(&call(1)).unwrap().peer, ALICE);
        assert!(alice.token_for(&ALICE, &call(1), NOW).is_none());
    }

    #[test]
    fn an_attempt_counts_as_repeated_after_a_later_packet() {
        let (alice, bob) = pair();
        let (to, token) = (call(1), alice.token_for(&BOB, &call(1), NOW).unwrap());
        for is_repeated in [false, true, false] {
            let packet = FirstPacket {
                to: &to,
                token: &token,
                is_repeated,
            };
            let before = bob.call(&to).is_some_and(|call| call.is_repeated);
            bob.note(&BOB, &packet, NOW);
            let call = bob.call(&to).unwrap();
            assert_eq!(call.is_repeated, before || is_repeated);
        }
    }

    #[test]
    fn clocks_may_differ_by_an_hour() {
        let (alice, bob) = pair();
        for (number, ahead) in (1..).zip([0, HOUR_S, 2 * HOUR_S, 5 * HOUR_S]) {
            let token = alice.token_for(&BOB, &call(number), NOW + ahead).unwrap();
            note(&bob, &BOB, &call(number), &token, NOW);
            let known = bob.call(&call(number)).is_some();
            assert_eq!(known, ahead <= HOUR_S, "{ahead}");
        }
        // Several hours later the token for that hour is accepted.
        let token = alice.token_for(&BOB, &call(9), NOW + 5 * HOUR_S).unwrap();
        note(&bob, &BOB, &call(9), &token, NOW + 5 * HOUR_S);
        assert!(bob.call(&call(9)).is_some());
    }

    #[test]
    fn a_contact_has_a_limited_burst_and_a_removed_one_has_no_priority() {
        let (alice, bob) = pair();
        let known = |number: u8, now| {
            let token = alice.token_for(&BOB, &call(number), now).unwrap();
            note(&bob, &BOB, &call(number), &token, now);
            bob.call(&call(number)).is_some()
        };
        let first = (1..10).filter(|number| known(*number, NOW)).count();
        assert_eq!(first as u64, BURST);
        assert!(!known(10, NOW + EVERY_S - 1));
        assert!(known(11, NOW + EVERY_S));
        assert!(!known(12, NOW + EVERY_S));
        // The clock was ahead for a while.
        assert!(known(13, NOW + 1_000_000));
        assert!(!known(14, NOW + 60));
        assert!(known(14, NOW + 60 + EVERY_S));
        bob.forget(&ALICE);
        assert!(bob.call(&call(14)).is_none());
        assert!(!known(15, NOW + 1_000));
    }

    #[test]
    fn memory_of_calls_is_bounded() {
        let bob = Callers::default();
        for n in 0..2 * CALLS as u32 {
            let bytes: [u8; 32] = [&[9; 28][..], &n.to_be_bytes()]
                .concat()
                .try_into()
                .unwrap();
            let peer = PeerId::from_bytes(bytes);
            let caller = Callers::default();
            caller.know(&peer, BOB, Secret::new(bytes), secret(8));
            bob.know(&BOB, peer, secret(8), Secret::new(bytes));
            let call: CallId = [&[3; 16][..], &n.to_be_bytes()]
                .concat()
                .try_into()
                .unwrap();
            let token = caller.token_for(&BOB, &call, NOW).unwrap();
            note(&bob, &BOB, &call, &token, NOW);
            assert!(bob.call(&call).is_some());
        }
        assert_eq!(bob.lock().calls.len(), CALLS);
        assert_eq!(bob.lock().order.len(), CALLS);
    }
}
