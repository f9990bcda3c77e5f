//! The five messages and the secrets of a session (docs/spec/handshake.md#key-schedule).

use super::bytes::{Stream, hex};
use super::packets::Packets;
use super::{Bad, Given, Side, quic};
use m2_crypto::handshake::hello::Hello;
use m2_crypto::handshake::hello_reply::HelloReply;
use m2_crypto::handshake::key_return::KeyReturn;
use m2_crypto::handshake::share::{Share, WrappedSecrets};
use m2_crypto::handshake::{Message, MessageReader};
use m2_crypto::kem::KemKeyPair;
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Certificate, Identity, Secret, label};
use rand_core::UnwrapErr;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use serde_json::{Value, json};

/// The side that sends each message, and the packet number space.
const ORDER: [(Side, usize); 5] = [
    (Side::Initiator, 0),
    (Side::Responder, 0),
    (Side::Initiator, 0),
    (Side::Responder, 1),
    (Side::Initiator, 1),
];

/// The labels of the secrets of a session (docs/spec/wire.md#secrets-of-a-session).
const LABELS: [(&str, &str); 7] = [
    ("invitationProof", "invitation proof"),
    ("lookUpSecretOfInitiator", "look-up secret of the initiator"),
    ("lookUpSecretOfResponder", "look-up secret of the responder"),
    ("sessionName", "session name"),
    ("epochSecretOfInitiator", "epoch secret of the initiator"),
    ("epochSecretOfResponder", "epoch secret of the responder"),
    ("letterSecret", "letter secret"),
];

/// The secrets that a side sent, and what it would have been with an altered ciphertext of ML-KEM.
struct SideSecrets {
    aes: Vec<u8>,
    kem: [u8; 32],
    kem_altered: [u8; 32],
}

/// The handshake as far as it has been recorded.
pub(crate) struct Handshake<'a> {
    given: &'a Given,
    /// RSA and ML-KEM halves, by side.
    keys: [(SessionKeyPair, KemKeyPair); 2],
    transcripts: Vec<[u8; 32]>,
    messages: Vec<Message>,
    /// The bytes of each CRYPTO stream that messages took, by side and space.
    taken: [[usize; 2]; 2],
    /// By sender.
    secrets: [Option<SideSecrets>; 2],
    transport: [Vec<u8>; 2],
}

/// All secrets of a session.
pub(crate) struct Secrets {
    pub(crate) value: Value,
    pub(crate) exporter: Secret<32>,
}

impl<'a> Handshake<'a> {
    pub(crate) fn new(given: &'a Given) -> Result<Self, Bad> {
        let key = |(der, seed): &(Vec<u8>, Secret<64>)| -> Result<_, Bad> {
            let rsa = RsaPrivateKey::from_pkcs8_der(der).map_err(|error| error.to_string())?;
            let again = rsa.to_pkcs8_der().map_err(|error| error.to_string())?;
            if again.as_bytes() != der {
                return Err("a session key in another encoding".into());
            }
            let rsa = SessionKeyPair::from_key(&rsa, given.provider);
            let kem = KemKeyPair::from_seed(seed, given.provider);
            Ok((
                rsa.map_err(|error| error.to_string())?,
                kem.map_err(|error| error.to_string())?,
            ))
        };
        let fields = [
            &given.circle.id().as_bytes()[..],
            given.responder_id.as_bytes(),
        ];
        Ok(Self {
            keys: [key(&given.session_keys[0])?, key(&given.session_keys[1])?],
            transcripts: vec![label::hash("handshake transcript", &fields)],
            messages: Vec::new(),
            taken: [[0; 2]; 2],
            secrets: [None, None],
            transport: Default::default(),
            given,
        })
    }

    /// Reads all messages that have arrived.
    pub(crate) fn advance<'s>(
        &mut self,
        stream: impl Fn(Side, usize) -> &'s Stream,
    ) -> Result<(), Bad> {
        while let Some((side, space)) = ORDER.get(self.messages.len()) {
            let taken = &mut self.taken[*side as usize][*space];
            let bytes = stream(*side, *space).from(*taken);
            let [_, high, low, ..] = bytes else {
                return Ok(());
            };
            let length = 3 + usize::from(u16::from_be_bytes([*high, *low]));
            let Some(bytes) = bytes.get(..length) else {
                return Ok(());
            };
            *taken += length;
            let message = MessageReader::new().push(bytes);
            let message = message.map_err(|error| format!("{error:?}"))?;
            self.read(message.ok_or("no message")?)?;
        }
        Ok(())
    }

    fn read(&mut self, message: Message) -> Result<(), Bad> {
        let before = *self.transcripts.last().ok_or("no transcript")?;
        let bad = |error: &dyn std::fmt::Debug| format!("{error:?}");
        match self.messages.len() {
            0 => {
                let hello = Hello::parse(&message).map_err(|error| bad(&error))?;
                self.check_share(Side::Initiator, &hello.share)?;
                self.transport[0] = hello.transport;
            }
            1 => {
                let reply = HelloReply::parse(&message).map_err(|error| bad(&error))?;
                self.check_share(Side::Responder, &reply.share)?;
                let label = label::encode("handshake responder key", &[&before]);
                self.secrets[1] = Some(self.unwrap(Side::Initiator, &label, &reply.wrapped)?);
                self.transport[1] = reply.transport;
            }
            2 => {
                let key_return = KeyReturn::parse(&message).map_err(|error| bad(&error))?;
                let label = label::encode("handshake initiator key", &[&before]);
                let wrapped = &key_return.wrapped;
                self.secrets[0] = Some(self.unwrap(Side::Responder, &label, wrapped)?);
            }
            3 => check_proof(&message, "responder", &before, Some(&self.given.responder))?,
            _ => check_proof(
                &message,
                "initiator",
                &before,
                self.given.initiator.as_ref(),
            )?,
        }
        let next = label::hash("handshake message", &[&before, message.bytes()]);
        self.transcripts.push(next);
        self.messages.push(message);
        Ok(())
    }

    fn check_share(&self, side: Side, share: &Share) -> Result<(), Bad> {
        let (rsa, kem) = &self.keys[side as usize];
        match share.rsa == *rsa.public() && share.kem == *kem.public() {
            true => Ok(()),
            false => Err(format!("the session key of the {}", side.name())),
        }
    }

    /// Opens the secrets that were wrapped for the session key of `side`.
    fn unwrap(
        &self,
        side: Side,
        label: &[u8],
        wrapped: &WrappedSecrets,
    ) -> Result<SideSecrets, Bad> {
        let (rsa, kem) = &self.keys[side as usize];
        let aes = rsa.unwrap(&mut UnwrapErr(getrandom::SysRng), label, &wrapped.rsa);
        let mut altered = wrapped.kem;
        altered[0] ^= 1;
        let open = |ciphertext| kem.decapsulate(ciphertext).map(|secret| *secret.expose());
        Ok(SideSecrets {
            aes: aes.map_err(|error| error.to_string())?.to_vec(),
            kem: open(&wrapped.kem).map_err(|error| error.to_string())?,
            kem_altered: open(&altered).map_err(|error| error.to_string())?,
        })
    }

    /// Returns the input of a derivation, with the secrets of one side first.
    fn material(&self, first: Side) -> Option<Vec<u8>> {
        let one = self.secrets[first as usize].as_ref()?;
        let other = self.secrets[1 - first as usize].as_ref()?;
        Some([&one.aes[..], &other.aes, &one.kem, &other.kem].concat())
    }

    /// Derives the secret for packets of `from`. `after` is the number of messages in the transcript.
    fn secret(&self, from: Side, space: &str, after: usize) -> Option<Secret<32>> {
        let first = match from {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        };
        let salt = self.transcripts.get(after)?;
        let purpose = format!("{space} {}", from.name());
        Some(label::derive(&self.material(first)?, salt, &purpose, &[]))
    }

    pub(crate) fn handshake_secret(&self, from: Side) -> Option<Secret<32>> {
        self.secret(from, "handshake", 3)
    }

    /// Returns the 1-RTT secret, and those after one and two key updates.
    pub(crate) fn data_secrets(&self, from: Side) -> Option<[Secret<32>; 3]> {
        let first = self.secret(from, "data", 5)?;
        let next: Secret<32> = label::derive(first.expose(), &[], "key update", &[]);
        let later = label::derive(next.expose(), &[], "key update", &[]);
        Some([first, next, later])
    }

    /// Returns all secrets, once the handshake is complete.
    pub(crate) fn finish(&self, packets: &Packets<'_>) -> Result<Secrets, Bad> {
        let material = self.material(Side::Responder).ok_or("no secrets")?;
        let salt = self.transcripts.get(5).ok_or("the handshake did not end")?;
        let exporter: Secret<32> = label::derive(&material, salt, "exporter secret", &[]);
        let both = |secret: &dyn Fn(Side) -> Option<String>| json!({ "initiator": secret(Side::Initiator), "responder": secret(Side::Responder) });
        let kept = |side: Side, of: fn(&SideSecrets) -> &[u8]| {
            self.secrets[side as usize].as_ref().map(|own| hex(of(own)))
        };
        let data = |side: Side, update: usize| {
            let secrets = self.data_secrets(side)?;
            Some(hex(secrets[update].expose()))
        };
        let transport = [0, 1].map(|side: usize| quic::transport_parameters(&self.transport[side]));
        let [of_initiator, of_responder] = transport;
        let value = json!({
            "firstDestinationId": hex(packets.first_id()),
            "sourceIds": both(&|side| Some(hex(packets.source_id(side)))),
            "transportParameters": { "initiator": of_initiator?, "responder": of_responder? },
            "messages": self.messages.iter().map(|m| hex(m.bytes())).collect::<Vec<_>>(),
            "transcripts": self.transcripts.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
            "aesKeys": both(&|side| kept(side, |own| &own.aes)),
            "kemSecrets": both(&|side| kept(side, |own| &own.kem)),
            "kemSecretsOfAlteredCiphertexts": both(&|side| kept(side, |own| &own.kem_altered)),
            "handshakeSecrets": both(&|side| Some(hex(self.handshake_secret(side)?.expose()))),
            "dataSecrets": both(&|side| data(side, 0)),
            "dataSecretsAfterUpdate": both(&|side| data(side, 1)),
            "exporterSecret": hex(exporter.expose()),
        });
        Ok(Secrets { value, exporter })
    }
}

impl Secrets {
    pub(crate) fn value(&self) -> Value {
        self.value.clone()
    }

    /// Derives 32 bytes under a label and an empty context.
    pub(crate) fn export(&self, label: &str) -> Secret<32> {
        let fields = [label.as_bytes(), &[], &32_u32.to_be_bytes()];
        label::derive(self.exporter.expose(), &[], "exporter", &fields)
    }

    pub(crate) fn exported(&self) -> Value {
        let secret = |(field, label): &(&str, &str)| {
            let secret = hex(self.export(label).expose());
            ((*field).to_owned(), Value::from(secret))
        };
        Value::Object(LABELS.iter().map(secret).collect())
    }
}

/// Checks the proof of one side against its identity.
fn check_proof(
    message: &Message,
    role: &str,
    transcript: &[u8; 32],
    identity: Option<&Identity>,
) -> Result<(), Bad> {
    let body = &message.bytes()[3..];
    let Some(identity) = identity else {
        return match body {
            [0] => Ok(()),
            _ => Err("an anonymous proof with contents".into()),
        };
    };
    let spki = identity.certificate().spki_der();
    let (signed, signature) = body
        .split_at_checked(3 + spki.len())
        .ok_or("a short proof")?;
    if signed[0] != 1 || signed[3..] != *spki {
        return Err("the certificate of another identity".into());
    }
    let certificate = Certificate::from_spki_der(spki).map_err(|error| error.to_string())?;
    let signed = label::encode("handshake proof", &[role.as_bytes(), transcript, spki]);
    let verified = certificate.verify(&signed, signature);
    verified.map_err(|error| error.to_string())
}
