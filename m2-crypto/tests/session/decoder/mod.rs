//! A passive decoder of a recorded session, written from the specification on m2-crypto's
//! constructions alone. It has the private keys of both ends and sends nothing.
//!
//! The input is `given` (names, private keys, the day) and `sent` (the datagrams). Everything else in
//! the output is derived from these two.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub(crate) mod bytes;
mod frames;
mod handshake;
mod level1;
mod packets;
mod quic;

use bytes::{at, hex, text, unhex};
use handshake::Handshake;
use m2_crypto::obfuscation::packet_key;
use m2_crypto::{Circle, Identity, PeerId, Provider, Secret};
use packets::Packets;
use serde_json::{Value, json};

/// The reason why a recording can't be decoded.
pub(crate) type Bad = String;

/// A side of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Initiator,
    Responder,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, Bad> {
        match name {
            "initiator" => Ok(Self::Initiator),
            "responder" => Ok(Self::Responder),
            _ => Err(format!("no side {name}")),
        }
    }
}

/// What both ends know before the session.
pub(crate) struct Given {
    pub(crate) circle: Circle,
    /// `None` for an anonymous initiator.
    pub(crate) initiator: Option<Identity>,
    pub(crate) responder: Identity,
    pub(crate) responder_id: PeerId,
    pub(crate) day: u32,
    /// PKCS#8 and ML-KEM seed, by side.
    pub(crate) session_keys: [(Vec<u8>, Secret<64>); 2],
    pub(crate) invitation: Option<Secret<16>>,
    pub(crate) provider: &'static dyn Provider,
}

impl Given {
    fn parse(given: &Value, provider: &'static dyn Provider) -> Result<Self, Bad> {
        let secret = Secret::from_slice(&unhex(at(given, "circle")?, "secret")?);
        let secret = secret.ok_or("the circle's secret")?;
        let circle = Circle::private(text(at(given, "circle")?, "name")?, &secret);
        let identity = |field: &str| -> Result<Option<Identity>, Bad> {
            let Some(file) = given[field].as_str() else {
                return Ok(None);
            };
            let path = format!("{}/../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
            let pem = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
            let identity = Identity::from_pem(&pem, None, provider);
            identity.map(Some).map_err(|error| error.to_string())
        };
        let session_key = |field: &str| -> Result<_, Bad> {
            let key = at(given, field)?;
            let seed = Secret::from_slice(&unhex(key, "kemSeed")?).ok_or("a seed")?;
            Ok((unhex(key, "rsa")?, seed))
        };
        let invitation = match &given["invitationToken"] {
            Value::Null => None,
            _ => Secret::from_slice(&unhex(given, "invitationToken")?),
        };
        let responder = identity("responderIdentity")?.ok_or("the responder")?;
        Ok(Self {
            responder_id: responder.peer_id(circle.id()),
            circle,
            initiator: identity("initiatorIdentity")?,
            responder,
            day: given["day"].as_u64().ok_or("the day")? as u32,
            session_keys: [
                session_key("initiatorSessionKey")?,
                session_key("responderSessionKey")?,
            ],
            invitation,
            provider,
        })
    }

    fn names(&self) -> Value {
        let initiator = self.initiator.as_ref();
        json!({
            "circleId": hex(self.circle.id().as_bytes()),
            "circleKey": hex(self.circle.key().expose()),
            "initiatorPeerId": initiator.map(|own| hex(own.peer_id(self.circle.id()).as_bytes())),
            "responderPeerId": hex(self.responder_id.as_bytes()),
            "packetKey": hex(packet_key(&self.circle, &self.responder_id).expose()),
        })
    }
}

/// Decodes a recording. `file` may have further fields, which are ignored.
pub(crate) fn decode(file: &Value, provider: &'static dyn Provider) -> Result<Value, Bad> {
    let given = Given::parse(at(file, "given")?, provider)?;
    let mut handshake = Handshake::new(&given)?;
    let mut packets = Packets::new(&given);
    let mut datagrams = Vec::new();
    for (number, sent) in bytes::list(file, "sent")?.iter().enumerate() {
        let side = Side::named(text(sent, "from")?)?;
        let opened = packets.open(side, &unhex(sent, "datagram")?, &mut handshake);
        datagrams.push(opened.map_err(|bad| format!("datagram {number}: {bad}"))?);
    }
    let streams = packets.streams()?;
    let secrets = handshake.finish(&packets)?;
    let level1 = level1::decode(&given, &secrets, &streams)?;
    Ok(json!({
        "given": file["given"],
        "sent": file["sent"],
        "names": given.names(),
        "initial": packets.initial(),
        "retry": packets.retry(),
        "handshake": secrets.value(),
        "exported": secrets.exported(),
        "datagrams": datagrams,
        "frames": frames::values(&streams),
        "message": level1,
    }))
}
