//! The first packets of a dial, as the dialled peer reads them: together they hold the Hello.

use m2_crypto::handshake::hello::Hello;
use m2_crypto::handshake::{Message, MessageReader};
use m2_crypto::initial::{InitialKeys, LongHeader, day_from_dcid};
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::packet::number_len;
use m2_crypto::{Circle, PeerId, provider};
use m2_net::clock::Clock;
use std::collections::BTreeMap;

/// The transport parameter that repeats the dialer's connection id.
const SOURCE_ID: u64 = 0x0f;
/// Reserved transport parameters, whose only purpose is that unknown ones are ignored (RFC 9000,
/// section 18.1).
const IS_RESERVED: fn(u64) -> bool = |id| id % 31 == 27;

/// The content of a dial before the dialer proves anything.
#[derive(Debug)]
pub struct FirstPackets {
    /// Must be equal in all anonymous dials; otherwise it distinguishes dialers.
    pub shape: Shape,
    called: Vec<u8>,
    caller: Vec<u8>,
    random: Vec<u8>,
    key: Vec<u8>,
}

/// One packet of a Hello.
struct Packet {
    called: Vec<u8>,
    caller: Vec<u8>,
    shape: PacketShape,
    /// The pieces of the handshake message, by their offsets.
    pieces: BTreeMap<u64, Vec<u8>>,
}

/// The sizes and choices of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PacketShape {
    /// Without the random bytes that follow the packet.
    length: usize,
    version: u32,
    ids: (usize, usize),
    token: Vec<u8>,
    number: u64,
}

/// Sizes and choices made by the dialer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    packets: Vec<PacketShape>,
    /// The count and the numbers of the suites, and the length of the share.
    offers: Vec<u8>,
    parameters: BTreeMap<u64, Vec<u8>>,
}

impl FirstPackets {
    /// Reads the first dial to `responder` in `datagrams`, which may contain others. Returns `None` if
    /// there is no complete Hello.
    pub fn read<'a>(datagrams: impl Iterator<Item = &'a [u8]>, responder: &PeerId) -> Option<Self> {
        let mut packets = datagrams.filter_map(|one| Packet::read(one, responder));
        let first = packets.next()?;
        let (mut shapes, mut pieces) = (vec![first.shape], first.pieces);
        let (called, caller) = (first.called, first.caller);
        let mut more = packets.filter(|packet| packet.called == called);
        let message = loop {
            if let Some(message) = message(&pieces) {
                break message;
            }
            let next = more.next()?;
            shapes.push(next.shape);
            pieces.extend(next.pieces);
        };
        let hello = Hello::parse(&message).ok()?;
        Some(Self {
            shape: Shape {
                packets: shapes,
                // After kind, length and random: everything before the key.
                offers: message.bytes()[35..40].to_vec(),
                parameters: parameters(&hello.transport)?,
            },
            called,
            caller,
            random: hello.random.to_vec(),
            key: message.bytes()[40..1_480].to_vec(),
        })
    }

    /// The parts that differ from dial to dial.
    pub fn varying(&self) -> [(&'static str, &[u8]); 4] {
        [
            ("called id", &self.called),
            ("caller's id", &self.caller),
            ("random", &self.random),
            ("session key", &self.key),
        ]
    }
}

impl Packet {
    /// Reads an Initial packet of the dialer. Returns `None` for any other datagram.
    fn read(datagram: &[u8], responder: &PeerId) -> Option<Self> {
        let (circle, provider) = (Circle::public(), provider::default());
        let mut shown = datagram.to_vec();
        Obfuscator::of_responder(&circle, responder, provider).apply(&mut shown);
        let header = LongHeader::parse(&shown).filter(LongHeader::is_initial)?;
        let (version, called, caller) =
            (header.version, header.dcid.to_vec(), header.scid.to_vec());
        let mut rest = header.rest;
        let length = varint(&mut rest)?;
        let token = take(&mut rest, length)?.to_vec();
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        let number_at = shown.len() - rest.len();
        shown.truncate(number_at + length);
        let length = shown.len();

        let day = day_from_dcid(&called, Clock::system().day())?;
        let keys = InitialKeys::derive(circle.id(), &called, responder, day, provider).client;
        keys.header.unprotect(number_at, &mut shown);
        let payload_at = number_at + number_len(shown[0]);
        let (head, sealed) = shown.split_at_mut(payload_at);
        let digits = head[number_at..].iter();
        let number = digits.fold(0, |number, byte| number << 8 | u64::from(*byte));
        let opened = keys.packet.open(number, head, sealed).ok()?;
        Some(Self {
            shape: PacketShape {
                length,
                version,
                ids: (called.len(), caller.len()),
                token,
                number,
            },
            called,
            caller,
            pieces: pieces(&sealed[..opened])?,
        })
    }
}

/// Returns the content of the CRYPTO frames of a packet.
fn pieces(mut frames: &[u8]) -> Option<BTreeMap<u64, Vec<u8>>> {
    let mut pieces = BTreeMap::new();
    while !frames.is_empty() {
        match varint(&mut frames)? {
            0 | 1 => {}
            6 => {
                let (offset, length) = (varint(&mut frames)?, varint(&mut frames)?);
                pieces.insert(offset, take(&mut frames, length)?.to_vec());
            }
            _ => return None,
        }
    }
    Some(pieces)
}

/// Returns the handshake message in the pieces of its stream, if they are complete.
fn message(pieces: &BTreeMap<u64, Vec<u8>>) -> Option<Message> {
    let mut bytes = Vec::new();
    for (offset, piece) in pieces {
        if usize::try_from(*offset).ok()? != bytes.len() {
            return None;
        }
        bytes.extend_from_slice(piece);
    }
    MessageReader::new().push(&bytes).ok()?
}

fn parameters(mut bytes: &[u8]) -> Option<BTreeMap<u64, Vec<u8>>> {
    let mut all = BTreeMap::new();
    while !bytes.is_empty() {
        let (id, length) = (varint(&mut bytes)?, varint(&mut bytes)?);
        let value = take(&mut bytes, length)?.to_vec();
        if id != SOURCE_ID && !IS_RESERVED(id) {
            all.insert(id, value);
        }
    }
    Some(all)
}

/// Reads a variable-length integer of QUIC.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let all = take(bytes, 1 << (first >> 6))?;
    let rest = all[1..].iter();
    Some(rest.fold(u64::from(first & 0x3f), |sum, byte| {
        sum << 8 | u64::from(*byte)
    }))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}
