//! The invitation's proof, and the first message of the initiator (docs/spec/envelope.md).

use super::bytes::{contents, fields, hex};
use super::frames::Frame;
use super::handshake::Secrets;
use super::{Bad, Given, Side};
use m2_crypto::envelope::{Ends, EpochSecret, ReceiveEpoch};
use m2_crypto::{Secret, label};
use rand_core::UnwrapErr;
use serde_json::{Value, json};

const ENVELOPE: u64 = 2;
const ACKS: u64 = 3;
const CONTACT_REQUEST: u64 = 4;

/// Decodes what an identified initiator sent. Returns null for an anonymous one.
pub(crate) fn decode(given: &Given, secrets: &Secrets, frames: &[Frame]) -> Result<Value, Bad> {
    if given.initiator.is_none() {
        return Ok(Value::Null);
    }
    let of = |from: Side, field: u64| {
        let frames = frames.iter();
        frames.filter(move |frame| frame.from == from && frame.field == field)
    };
    let request = of(Side::Initiator, CONTACT_REQUEST).next();
    let proof = proof(given, secrets, &request.ok_or("no request")?.body)?;
    let mut receiver = Receiver::new(given, secrets);
    let mut messages = Vec::new();
    for (envelope, acks) in of(Side::Initiator, ENVELOPE).zip(of(Side::Responder, ACKS)) {
        let message = receiver.open(&envelope.body)?;
        let ack = contents(&acks.body, 1)?;
        let [id, hash] = [hex(contents(ack, 1)?), hex(contents(ack, 2)?)];
        if message["messageId"] != id || message["contentHash"] != hash {
            return Err("an acknowledgement of another message".into());
        }
        messages.push(message);
    }
    Ok(json!({ "proof": proof, "epoch": receiver.value, "messages": messages }))
}

fn proof(given: &Given, secrets: &Secrets, request: &[u8]) -> Result<Value, Bad> {
    let token = given.invitation.as_ref().ok_or("no invitation")?;
    let exporter = secrets.export("invitation proof");
    let proof = label::mac(token.expose(), "invitation proof", &[exporter.expose()]);
    let id = &label::hash("invitation id", &[token.expose()])[..16];
    if contents(request, 1)? != id || contents(request, 2)? != proof {
        return Err("the proof of another invitation".into());
    }
    Ok(json!({ "invitationId": hex(id), "proof": hex(&proof) }))
}

/// The responder as the receiver of the initiator's first epoch.
struct Receiver<'a> {
    given: &'a Given,
    session: [u8; 8],
    secret: Secret<32>,
    epoch: Option<ReceiveEpoch>,
    value: Value,
}

impl<'a> Receiver<'a> {
    fn new(given: &'a Given, secrets: &Secrets) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *secrets.export("session name").expose();
        Self {
            given,
            session: [a, b, c, d, e, f, g, h],
            secret: secrets.export("epoch secret of the initiator"),
            epoch: None,
            value: Value::Null,
        }
    }

    fn open(&mut self, envelope: &[u8]) -> Result<Value, Bad> {
        let (grant, sealed) = (contents(envelope, 1)?, contents(envelope, 2)?);
        if !grant.is_empty() {
            self.accept(grant)?;
        }
        let epoch = self.epoch.as_mut().ok_or("no grant")?;
        let opened = epoch.open(sealed).map_err(|error| error.to_string())?;
        let payload = opened.plaintext.to_vec();
        // Without the fields sequence and sent_ms.
        let said: Vec<u8> = fields(&payload)?
            .into_iter()
            .filter(|(number, _)| *number > 2)
            .flat_map(|(_, field)| field.whole.to_vec())
            .collect();
        Ok(json!({
            "index": opened.index,
            "messageId": hex(&opened.message_id),
            "payload": hex(&payload),
            "said": hex(&said),
            "contentHash": hex(&label::hash("content", &[&opened.message_id, &said])),
        }))
    }

    fn accept(&mut self, grant: &[u8]) -> Result<(), Bad> {
        let initiator = self.given.initiator.as_ref().ok_or("no initiator")?;
        let circle = self.given.circle.id();
        let ends = Ends {
            receiver: &self.given.responder,
            receiver_id: self.given.responder_id,
            sender: initiator.certificate(),
            sender_id: initiator.peer_id(circle),
        };
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let created = grant.get(82..90).ok_or("a short grant")?;
        let created_s = u64::from_be_bytes(created.try_into().unwrap());
        let mut secret = EpochSecret::new(self.session, self.secret.clone());
        let epoch = ReceiveEpoch::accept(rng, &ends, &mut secret, grant, created_s);
        self.epoch = Some(epoch.map_err(|error| error.to_string())?);
        let fields = [
            &grant[2..34],
            &grant[34..66],
            &grant[66..74],
            &grant[74..82],
        ];
        let wrap_label = label::encode("content key", &fields);
        let key = self
            .given
            .responder
            .unwrap(rng, &wrap_label, &grant[134..646]);
        let key = key.map_err(|error| error.to_string())?;
        let step: Secret<64> = label::derive(self.secret.expose(), &[], "epoch step", &[]);
        let (next, share) = step.expose().split_at(32);
        let salt = label::hash("signed grant", &[grant]);
        let keys = [&key[..], share].concat();
        let root: Secret<32> = label::derive(&keys, &salt, "chain root", &fields[..2]);
        self.value = json!({
            "grant": hex(grant),
            "contentKey": hex(&key),
            "share": hex(share),
            "nextEpochSecret": hex(next),
            "chainRoot": hex(root.expose()),
        });
        Ok(())
    }
}
