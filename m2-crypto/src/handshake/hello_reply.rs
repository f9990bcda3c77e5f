//! Message 2, HelloReply: the responder's choice, and its AES key wrapped under the initiator's
//! session key (docs/spec/handshake.md#2-helloreply).

use super::error::PeerMisbehaved;
use super::hello::{parse_key, put_bytes, take_transport};
use super::message::{Message, MessageKind};
use super::suite::Suite;
use super::transcript::TranscriptHash;
use crate::label;
use crate::reader::Reader;
use crate::session_key::{MODULUS_BYTES, SessionPublicKey};

/// A parsed HelloReply.
#[derive(Debug)]
pub struct HelloReply {
    /// The chosen suite.
    pub suite: Suite,
    /// 32 random bytes.
    pub random: [u8; 32],
    /// The responder's session key.
    pub key: SessionPublicKey,
    /// The responder's AES key, wrapped under the initiator's session key with
    /// [`HelloReply::wrap_label`].
    pub wrapped: [u8; MODULUS_BYTES],
    /// The responder's transport parameters.
    pub transport: Vec<u8>,
}

impl HelloReply {
    /// Returns the OAEP label of [`Self::wrapped`]: its purpose and the transcript up to message 1.
    pub fn wrap_label(after_hello: &TranscriptHash) -> Vec<u8> {
        label::encode("handshake responder key", &[after_hello])
    }

    /// Encodes suite u16 ‖ random[32] ‖ modulus[256] ‖ wrapped[256] ‖ transport parameters with
    /// length u16.
    pub(super) fn encode(&self) -> Message {
        let mut body = Vec::with_capacity(1024);
        body.extend_from_slice(&self.suite.number().to_be_bytes());
        body.extend_from_slice(&self.random);
        body.extend_from_slice(self.key.modulus());
        body.extend_from_slice(&self.wrapped);
        put_bytes(&mut body, &self.transport);
        Message::new(MessageKind::HelloReply, &body)
    }

    /// Parses a HelloReply.
    ///
    /// Errors: [`PeerMisbehaved::SuiteNotOffered`] for a suite that this side did not offer.
    pub fn parse(message: &Message) -> Result<Self, PeerMisbehaved> {
        let body = message.expect(MessageKind::HelloReply)?;
        let mut reader = Reader::new(body);
        let number = reader.u16().ok_or(PeerMisbehaved::Malformed)?;
        let suite = Suite::from_number(number).ok_or(PeerMisbehaved::SuiteNotOffered)?;
        let (random, modulus, wrapped, transport) =
            fields(reader).ok_or(PeerMisbehaved::Malformed)?;
        Ok(Self {
            suite,
            random,
            key: parse_key(&modulus)?,
            wrapped,
            transport: transport.to_vec(),
        })
    }
}

type Fields<'a> = ([u8; 32], [u8; MODULUS_BYTES], [u8; MODULUS_BYTES], &'a [u8]);

fn fields(mut reader: Reader<'_>) -> Option<Fields<'_>> {
    let random = reader.array()?;
    let modulus = reader.array()?;
    let wrapped = reader.array()?;
    let transport = take_transport(&mut reader)?;
    reader.end()?;
    Some((random, modulus, wrapped, transport))
}
