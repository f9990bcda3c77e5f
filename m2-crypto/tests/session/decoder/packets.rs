//! Datagrams and packets (docs/spec/obfuscation.md, docs/spec/packet.md).

use super::bytes::{Bytes, Stream, hex};
use super::frames::{Frame, split};
use super::handshake::Handshake;
use super::{Bad, Given, Side, quic};
use m2_crypto::Secret;
use m2_crypto::initial::{InitialSecrets, QUIC_VERSION, verify_retry_tag};
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::packet::{HeaderKey, PacketKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The packet number spaces.
const INITIAL: usize = 0;
const HANDSHAKE: usize = 1;
const DATA: usize = 2;

struct Attempt {
    dcid: Vec<u8>,
    secrets: InitialSecrets,
}

/// The state of one direction.
#[derive(Default)]
struct Direction {
    /// The largest packet number of each space.
    largest: [Option<u64>; 3],
    /// CRYPTO of the Initial and the Handshake space.
    crypto: [Stream; 2],
    streams: BTreeMap<u64, Stream>,
    /// The number of key updates so far.
    updates: usize,
    /// The id that this side chose.
    id: Vec<u8>,
}

/// All packets of a session.
pub(crate) struct Packets<'a> {
    given: &'a Given,
    obfuscator: Obfuscator,
    attempts: Vec<Attempt>,
    retry: Value,
    directions: [Direction; 2],
}

/// A packet without protection.
struct Opened {
    number: u64,
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl<'a> Packets<'a> {
    pub(crate) fn new(given: &'a Given) -> Self {
        let obfuscator =
            Obfuscator::of_responder(&given.circle, &given.responder_id, given.provider);
        Self {
            given,
            obfuscator,
            attempts: Vec::new(),
            retry: Value::Null,
            directions: Default::default(),
        }
    }

    /// Opens a datagram as it was sent.
    pub(crate) fn open(
        &mut self,
        from: Side,
        sent: &[u8],
        handshake: &mut Handshake<'_>,
    ) -> Result<Value, Bad> {
        let mut revealed = sent.to_vec();
        self.obfuscator.apply(&mut revealed);
        let mut packets = Vec::new();
        let mut rest = &revealed[..];
        // After a packet come random bytes, or another packet, which has the fixed bit.
        while rest.first().is_some_and(|first| first & 0x40 != 0) {
            let (packet, length) = match rest[0] & 0x80 {
                0 => (self.short(from, rest, handshake)?, rest.len()),
                _ => self.long(from, rest, handshake)?,
            };
            packets.push(packet);
            rest = &rest[length..];
            handshake.advance(|side, space| &self.directions[side as usize].crypto[space])?;
        }
        if packets.is_empty() {
            return Err("no packet".into());
        }
        Ok(json!({
            "from": from.name(),
            "bytes": sent.len(),
            "revealed": hex(&revealed),
            "random": rest.len(),
            "packets": packets,
        }))
    }

    fn long(
        &mut self,
        from: Side,
        datagram: &[u8],
        handshake: &Handshake<'_>,
    ) -> Result<(Value, usize), Bad> {
        let mut bytes = Bytes(datagram);
        let first = bytes.number(1)?;
        if bytes.number(4)? != u64::from(QUIC_VERSION) {
            return Err("a version that is not M2's".into());
        }
        let length = bytes.number(1)?;
        let dcid = bytes.take(length as usize)?.to_vec();
        let length = bytes.number(1)?;
        let scid = bytes.take(length as usize)?.to_vec();
        let (kind, space) = match first & 0x30 {
            0x00 => ("Initial", INITIAL),
            0x20 => ("Handshake", HANDSHAKE),
            0x30 => return Ok((self.read_retry(from, datagram, &scid)?, datagram.len())),
            _ => return Err("a 0-RTT packet".into()),
        };
        self.check_ids(from, &dcid, &scid)?;
        let mut token = Vec::new();
        if space == INITIAL {
            token = bytes.quic_bytes()?.to_vec();
            self.attempt(from, &dcid)?;
        }
        let length = bytes.quic()? as usize;
        let number_at = datagram.len() - bytes.0.len();
        let end = number_at + length;
        let packet = datagram.get(..end).ok_or("truncated")?;
        let secret = match space {
            INITIAL => self.initial_secret(from, &dcid)?,
            _ => handshake
                .handshake_secret(from)
                .ok_or("a packet too early")?,
        };
        let keys = [(&secret, 0)];
        let (opened, _) = self.unprotect(from, space, packet, number_at, &secret, &keys)?;
        let mut value = self.describe(from, space, kind, &opened)?;
        if space == INITIAL {
            value["token"] = hex(&token).into();
        }
        Ok((value, end))
    }

    fn short(
        &mut self,
        from: Side,
        packet: &[u8],
        handshake: &Handshake<'_>,
    ) -> Result<Value, Bad> {
        let [now, next, later] = handshake.data_secrets(from).ok_or("a packet too early")?;
        let updates = self.directions[from as usize].updates;
        let number_at = 1 + self.id_of_other(from).len();
        let known = [(&now, 0), (&next, 1), (&later, 2)];
        let keys = &known[updates..(updates + 2).min(known.len())];
        let (opened, used) = self.unprotect(from, DATA, packet, number_at, &now, keys)?;
        self.directions[from as usize].updates = used;
        let kind = ["1-RTT", "1-RTT after one key update", "1-RTT after two"][used];
        self.describe(from, DATA, kind, &opened)
    }

    /// Removes header protection, and opens the packet under the first of `keys` that fits its key
    /// phase. Returns the number of key updates, too.
    fn unprotect(
        &mut self,
        from: Side,
        space: usize,
        packet: &[u8],
        number_at: usize,
        header_secret: &Secret<32>,
        keys: &[(&Secret<32>, usize)],
    ) -> Result<(Opened, usize), Bad> {
        let mut packet = packet.to_vec();
        HeaderKey::derive(header_secret).unprotect(number_at, &mut packet);
        let first = packet[0];
        let reserved = if first & 0x80 == 0 { 0x18 } else { 0x0c };
        if first & reserved != 0 {
            return Err("a reserved bit".into());
        }
        let length = 1 + usize::from(first & 3);
        let mut number = Bytes(packet.get(number_at..).ok_or("truncated")?);
        let truncated = number.number(length)?;
        let largest = &mut self.directions[from as usize].largest[space];
        let number = expand(*largest, truncated, length);
        let (header, sealed) = packet.split_at_mut(number_at + length);
        let phase = usize::from(first & 0x84 == 0x04);
        for (secret, updates) in keys.iter().filter(|(_, updates)| updates % 2 == phase) {
            let mut payload = sealed.to_vec();
            let key = PacketKey::derive(secret, self.given.provider);
            if let Ok(length) = key.open(number, header, &mut payload) {
                payload.truncate(length);
                *largest = (*largest).max(Some(number));
                let header = header.to_vec();
                let opened = Opened {
                    number,
                    header,
                    payload,
                };
                return Ok((opened, *updates));
            }
        }
        Err("a packet that does not open".into())
    }

    fn describe(
        &mut self,
        from: Side,
        space: usize,
        kind: &str,
        opened: &Opened,
    ) -> Result<Value, Bad> {
        let (texts, pieces) = quic::frames(&opened.payload)?;
        let direction = &mut self.directions[from as usize];
        for piece in pieces {
            let stream = match piece.stream {
                Some(id) => direction.streams.entry(id).or_default(),
                None => direction.crypto.get_mut(space).ok_or("CRYPTO in 1-RTT")?,
            };
            stream.put(piece.offset as usize, piece.bytes)?;
        }
        Ok(json!({
            "type": kind,
            "number": opened.number,
            "header": hex(&opened.header),
            "payload": hex(&opened.payload),
            "frames": texts,
        }))
    }

    /// Takes the keys of an attempt from the first packet, or from the one that answers a Retry.
    fn attempt(&mut self, from: Side, dcid: &[u8]) -> Result<(), Bad> {
        let expected = 1 + usize::from(!self.retry.is_null());
        let is_known = self.attempts.iter().any(|attempt| attempt.dcid == dcid);
        if from == Side::Responder || is_known || self.attempts.len() == expected {
            return Ok(());
        }
        let day = self.given.day;
        if dcid
            .last()
            .is_none_or(|last| u32::from(last & 3) != day % 4)
        {
            return Err("an id of another day".into());
        }
        if !self.retry.is_null() && self.retry["sourceId"] != hex(dcid) {
            return Err("an id that is not that of the Retry".into());
        }
        let circle = self.given.circle.id();
        self.attempts.push(Attempt {
            dcid: dcid.to_vec(),
            secrets: InitialSecrets::derive(circle, dcid, &self.given.responder_id, day),
        });
        Ok(())
    }

    /// Packets that were on the way when the Retry was sent have the keys of the first attempt.
    fn initial_secret(&self, from: Side, dcid: &[u8]) -> Result<Secret<32>, Bad> {
        let named = self.attempts.iter().find(|attempt| attempt.dcid == dcid);
        let attempt = named.or(self.attempts.last()).ok_or("no first packet")?;
        Ok(match from {
            Side::Initiator => attempt.secrets.client.clone(),
            Side::Responder => attempt.secrets.server.clone(),
        })
    }

    fn read_retry(&mut self, from: Side, packet: &[u8], scid: &[u8]) -> Result<Value, Bad> {
        let original = &self.attempts.last().ok_or("no first packet")?.dcid;
        let (body, tag) = packet.split_last_chunk::<16>().ok_or("truncated")?;
        let (circle, responder) = (self.given.circle.id(), &self.given.responder_id);
        let valid = verify_retry_tag(circle, responder, original, body, tag);
        if from == Side::Initiator || !valid || !self.retry.is_null() {
            return Err("a Retry that is not valid".into());
        }
        let token_at = 7 + usize::from(packet[5]) + scid.len();
        self.retry = json!({
            "originalId": hex(original),
            "sourceId": hex(scid),
            "token": hex(&body[token_at..]),
            "tag": hex(tag),
        });
        Ok(json!({ "type": "Retry" }))
    }

    /// Checks that the source id of a side does not change, and that the responder names the initiator's.
    fn check_ids(&mut self, from: Side, dcid: &[u8], scid: &[u8]) -> Result<(), Bad> {
        let own = &mut self.directions[from as usize].id;
        if own.is_empty() {
            *own = scid.to_vec();
        }
        let named = from == Side::Initiator || self.id_of_other(from) == dcid;
        match self.directions[from as usize].id == scid && named {
            true => Ok(()),
            false => Err("an id that is not one of the session".into()),
        }
    }

    fn id_of_other(&self, from: Side) -> &[u8] {
        &self.directions[1 - from as usize].id
    }

    pub(crate) fn source_id(&self, side: Side) -> &[u8] {
        &self.directions[side as usize].id
    }

    pub(crate) fn initial(&self) -> Value {
        let attempt = |attempt: &Attempt| {
            json!({
                "destinationId": hex(&attempt.dcid),
                "clientSecret": hex(attempt.secrets.client.expose()),
                "serverSecret": hex(attempt.secrets.server.expose()),
            })
        };
        self.attempts.iter().map(attempt).collect()
    }

    pub(crate) fn first_id(&self) -> &[u8] {
        self.attempts.first().map_or(&[], |attempt| &attempt.dcid)
    }

    pub(crate) fn retry(&self) -> Value {
        self.retry.clone()
    }

    /// Returns the frames of both frame streams, those of the initiator first.
    pub(crate) fn streams(&self) -> Result<Vec<Frame>, Bad> {
        let mut frames = Vec::new();
        for (side, id) in [(Side::Initiator, 2), (Side::Responder, 3)] {
            let streams = &self.directions[side as usize].streams;
            let stream = streams.get(&id).ok_or("no frame stream")?;
            if streams.len() > 1 || !stream.is_whole() {
                return Err("a stream with a gap, or another one".into());
            }
            frames.extend(split(side, stream.from(0))?);
        }
        Ok(frames)
    }
}

/// Restores a packet number (RFC 9000, appendix A.3).
fn expand(largest: Option<u64>, truncated: u64, length: usize) -> u64 {
    let expected = largest.map_or(0, |largest| largest + 1);
    let window = 1_u64 << (8 * length);
    let candidate = (expected & !(window - 1)) | truncated;
    if candidate + window / 2 <= expected && candidate < (1 << 62) - window {
        return candidate + window;
    }
    if candidate > expected + window / 2 && candidate >= window {
        return candidate - window;
    }
    candidate
}
