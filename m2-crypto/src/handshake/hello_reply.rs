//! Message 2, HelloReply: the responder's choice, and its secrets wrapped under the initiator's session
//! key (docs/spec/handshake.md#2-helloreply).

use super::error::PeerMisbehaved;
use super::hello::{put_bytes, take_transport};
use super::message::{Message, MessageKind};
use super::share::{SHARE_BYTES, Share, WrappedSecrets};
use super::suite::Suite;
use super::transcript::TranscriptHash;
use crate::label;
use crate::reader::Reader;

/// A parsed HelloReply.
#[derive(Debug)]
pub struct HelloReply {
    /// The chosen suite.
    pub suite: Suite,
    /// 32 random bytes.
    pub random: [u8; 32],
    /// The responder's session key.
    pub share: Share,
    /// The responder's secrets, wrapped under the initiator's session key with
    /// [`HelloReply::wrap_label`].
    pub wrapped: WrappedSecrets,
    /// The responder's transport parameters.
    pub transport: Vec<u8>,
}

impl HelloReply {
    /// Returns the OAEP label of [`Self::wrapped`]: its purpose and the transcript up to message 1.
    pub fn wrap_label(after_hello: &TranscriptHash) -> Vec<u8> {
        label::encode("handshake responder key", &[after_hello])
    }

    /// Encodes suite u16 ‖ random[32] ‖ share[1440] ‖ wrapped secrets[1344] ‖ transport parameters
    /// with length u16.
    pub(super) fn encode(&self) -> Message {
        let mut body = Vec::with_capacity(3072);
        body.extend_from_slice(&self.suite.number().to_be_bytes());
        body.extend_from_slice(&self.random);
        self.share.encode(&mut body);
        self.wrapped.encode(&mut body);
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
        let (random, share, wrapped, transport) =
            fields(reader).ok_or(PeerMisbehaved::Malformed)?;
        Ok(Self {
            suite,
            random,
            share: Share::parse(share)?,
            wrapped,
            transport: transport.to_vec(),
        })
    }
}

type Fields<'a> = ([u8; 32], &'a [u8], WrappedSecrets, &'a [u8]);

fn fields(mut reader: Reader<'_>) -> Option<Fields<'_>> {
    let random = reader.array()?;
    let share = reader.slice(SHARE_BYTES)?;
    let wrapped = WrappedSecrets::take(&mut reader)?;
    let transport = take_transport(&mut reader)?;
    reader.end()?;
    Some((random, share, wrapped, transport))
}
