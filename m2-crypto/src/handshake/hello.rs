//! Message 1, Hello: the initiator's offer (docs/spec/handshake.md#1-hello).

use super::error::{HandshakeError, LocalError, PeerMisbehaved};
use super::message::{Message, MessageKind};
use super::share::{SHARE_BYTES, Share};
use super::suite::Suite;
use crate::reader::Reader;
use rand_core::CryptoRng;

/// Maximum length of the transport parameters, in bytes. With more, a Hello would take three packets.
pub const MAX_TRANSPORT: usize = 512;
/// Maximum number of suites in one Hello.
pub const MAX_OFFERS: u8 = 16;

/// A parsed Hello, reduced to the offer that this side accepts.
#[derive(Debug)]
pub struct Hello {
    /// 32 random bytes.
    pub random: [u8; 32],
    /// The suite that this side prefers among those offered.
    pub suite: Suite,
    /// The initiator's session key.
    pub share: Share,
    /// The initiator's transport parameters.
    pub transport: Vec<u8>,
}

impl Hello {
    /// Creates a Hello that offers every suite of this version.
    pub(super) fn fresh(
        share: &Share,
        transport: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, LocalError> {
        if transport.len() > MAX_TRANSPORT {
            return Err(LocalError::TransportParameters);
        }
        Ok(Self {
            random: random(rng),
            suite: Suite::RsaMlKemAes128,
            share: share.clone(),
            transport: transport.to_vec(),
        })
    }

    /// Encodes random[32] ‖ offers (count u8, each suite u16 ‖ share with length u16) ‖ transport
    /// parameters with length u16.
    pub(super) fn encode(&self) -> Message {
        let mut body = Vec::with_capacity(SHARE_BYTES + 512);
        body.extend_from_slice(&self.random);
        body.push(1);
        body.extend_from_slice(&self.suite.number().to_be_bytes());
        body.extend_from_slice(&(SHARE_BYTES as u16).to_be_bytes());
        self.share.encode(&mut body);
        put_bytes(&mut body, &self.transport);
        Message::new(MessageKind::Hello, &body)
    }

    /// Parses a Hello. An offer of an unknown suite is skipped together with its share.
    ///
    /// Errors: [`HandshakeError::NoCommonSuite`] if no offered suite is known.
    pub fn parse(message: &Message) -> Result<Self, HandshakeError> {
        let body = message.expect(MessageKind::Hello)?;
        let (random, share, transport) = layout(body).ok_or(PeerMisbehaved::Malformed)?;
        let share = share.ok_or(HandshakeError::NoCommonSuite)?;
        Ok(Self {
            random,
            suite: Suite::RsaMlKemAes128,
            share: Share::parse(share)?,
            transport: transport.to_vec(),
        })
    }
}

type Layout<'a> = ([u8; 32], Option<&'a [u8]>, &'a [u8]);

fn layout(body: &[u8]) -> Option<Layout<'_>> {
    let mut reader = Reader::new(body);
    let random = reader.array()?;
    let share = take_offers(&mut reader)?;
    let transport = take_transport(&mut reader)?;
    reader.end()?;
    Some((random, share, transport))
}

/// Returns the share of the supported suite if it is among the offers. The outer `None` means that
/// the offers are malformed.
fn take_offers<'a>(reader: &mut Reader<'a>) -> Option<Option<&'a [u8]>> {
    let count = reader.u8()?;
    if count == 0 || count > MAX_OFFERS {
        return None;
    }
    let mut seen = Vec::with_capacity(usize::from(count));
    let mut ours = None;
    for _ in 0..count {
        let number = reader.u16()?;
        let share = take_bytes(reader)?;
        if seen.contains(&number) {
            return None; // Which of the two shares counts would be ambiguous.
        }
        seen.push(number);
        if Suite::from_number(number).is_some() {
            ours = Some(share);
        }
    }
    Some(ours)
}

pub(super) fn take_transport<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    take_bytes(reader).filter(|bytes| bytes.len() <= MAX_TRANSPORT)
}

fn take_bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::from(reader.u16()?);
    reader.slice(length)
}

/// Appends a field preceded by its length in 2 bytes. All fields are far below 64 KiB.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn random(rng: &mut dyn CryptoRng) -> [u8; 32] {
    let mut random = [0; 32];
    rng.fill_bytes(&mut random);
    random
}
