//! `tests/vectors/handshake.json`, replayed by both sides under every provider.

use crate::common::*;
use m2_crypto::error::{KeyError, OpenFailed};
use m2_crypto::handshake::hello_reply::HelloReply;
use m2_crypto::handshake::key_return::KeyReturn;
use m2_crypto::handshake::proof::{Role, signed_bytes};
use m2_crypto::handshake::transcript::Transcript;
use m2_crypto::handshake::{Call, Credential, Initiator, Message, Peer, Responder, SpaceSecrets};
use m2_crypto::kem::KemKeyPair;
use m2_crypto::provider::{
    Aead, Ctr, KemPrivateKey, PrivateKey, Provider, all, rustcrypto::RustCrypto,
};
use m2_crypto::{Circle, PeerId, Secret};
use ml_kem::{DecapsulationKey, MlKem768};
use rand_core::CryptoRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use serde_json::{Value, json};
use std::sync::Mutex;
use zeroize::Zeroizing;

const EXPORT_LABEL: &[u8] = b"test label";
const EXPORT_CONTEXT: &[u8] = b"test context";

#[test]
fn session_keys() {
    let keys = check_file("handshake_keys.json", || {
        if let Ok(there) = std::fs::read_to_string(path("handshake_keys.json")) {
            return serde_json::from_str(&there).unwrap(); // Kept, as other vectors depend on them.
        }
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let key = |_| {
            let key = RsaPrivateKey::new(&mut rng, 2048).unwrap();
            hex(key.to_pkcs8_der().unwrap().as_bytes())
        };
        json!({ "sessionKeys": (0..4).map(key).collect::<Vec<_>>() })
    });
    for key in keys["sessionKeys"].as_array().unwrap() {
        RsaPrivateKey::from_pkcs8_der(&unhex(key)).unwrap();
    }
}

#[test]
fn handshakes() {
    let file = check_file(
        "handshake.json",
        || json!({ "cases": [fresh("identified"), fresh("anonymous")] }),
    );
    for case in file["cases"].as_array().unwrap() {
        check_derivations(case);
        for provider in all() {
            replay(case, *provider);
        }
    }
}

fn fresh(name: &'static str) -> Value {
    let mut run = Run::new(&RustCrypto);
    run.seed = name;
    if name == "anonymous" {
        run.caller = Credential::Anonymous;
    }
    let done = run.go(|_, message| message).unwrap();
    let mut transcript = Transcript::new(run.i_circle.id(), &run.called);
    let mut transcripts = vec![hex(transcript.hash())];
    for message in &done.messages {
        transcript = transcript.with(message);
        transcripts.push(hex(transcript.hash()));
    }
    let mut exported = [0; 40];
    let exporter = &done.at_i.exporter;
    exporter
        .export(&mut exported, EXPORT_LABEL, EXPORT_CONTEXT)
        .unwrap();
    let caller = (name == "identified").then_some("identities/alice.pem");
    json!({
        "name": name,
        "circle": { "name": "home", "secret": hex(&[0x17; 32]) },
        "circleId": hex(run.i_circle.id().as_bytes()),
        "initiatorIdentity": caller,
        "responderIdentity": "identities/bob.pem",
        "responderPeerId": hex(run.called.as_bytes()),
        "initiatorSessionKey": hex(&session_key_der(run.i_key)),
        "responderSessionKey": hex(&session_key_der(run.r_key)),
        "initiatorTransport": hex(I_TRANSPORT),
        "responderTransport": hex(R_TRANSPORT),
        "seed": name,
        "messages": done.messages.iter().map(|m| hex(m.bytes())).collect::<Vec<_>>(),
        "transcripts": transcripts,
        "initiatorKemSeed": hex(run.kem_seed("hello").expose()),
        "responderKemSeed": hex(run.kem_seed("hello reply").expose()),
        "responderAesKey": hex(&aes_keys(&run, &done.messages).1),
        "initiatorAesKey": hex(&aes_keys(&run, &done.messages).0),
        "responderKemSecret": hex(&kem_secrets(&run, &done.messages).1),
        "initiatorKemSecret": hex(&kem_secrets(&run, &done.messages).0),
        "handshakeSecrets": space(&done.handshake[0]),
        "dataSecrets": space(&done.at_i.secrets),
        "dataSecretsAfterUpdate": space(&done.at_i.secrets.next()),
        "exporterSecret": hex(exporter.expose()),
        "export": {
            "label": hex(EXPORT_LABEL),
            "context": hex(EXPORT_CONTEXT),
            "output": hex(&exported),
        },
    })
}

fn space(secrets: &SpaceSecrets) -> Value {
    json!({
        "initiator": hex(secrets.initiator.expose()),
        "responder": hex(secrets.responder.expose()),
    })
}

/// Opens the wrapped keys with the session keys and the documented labels. Returns I's, then R's.
fn aes_keys(run: &Run, messages: &[Message; 5]) -> (Vec<u8>, Vec<u8>) {
    let start = Transcript::new(run.i_circle.id(), &run.called);
    let after_hello = start.with(&messages[0]);
    let after_reply = after_hello.with(&messages[1]);
    let open = |key: usize, label: Vec<u8>, wrapped: &[u8]| {
        session_key(key, run.provider)
            .unwrap(&mut Seeded::new("open"), &label, wrapped)
            .unwrap()
            .to_vec()
    };
    let reply = HelloReply::parse(&messages[1]).unwrap();
    let key_return = KeyReturn::parse(&messages[2]).unwrap();
    (
        open(
            run.r_key,
            KeyReturn::wrap_label(after_reply.hash()),
            &key_return.wrapped.rsa,
        ),
        open(
            run.i_key,
            HelloReply::wrap_label(after_hello.hash()),
            &reply.wrapped.rsa,
        ),
    )
}

/// Decapsulates the secrets of ML-KEM. Returns I's, then R's.
fn kem_secrets(run: &Run, messages: &[Message; 5]) -> (Vec<u8>, Vec<u8>) {
    let reply = HelloReply::parse(&messages[1]).unwrap();
    let key_return = KeyReturn::parse(&messages[2]).unwrap();
    let open = |step: &str, ciphertext| {
        let pair = KemKeyPair::from_seed(&run.kem_seed(step), run.provider).unwrap();
        pair.decapsulate(ciphertext).unwrap().expose().to_vec()
    };
    (
        open("hello reply", &key_return.wrapped.kem),
        open("hello", &reply.wrapped.kem),
    )
}

/// Checks transcripts, wrapped keys and signatures against the recorded bytes alone.
fn check_derivations(case: &Value) {
    let circle = Circle::private(
        "home",
        &Secret::from_slice(&unhex(&case["circle"]["secret"])).unwrap(),
    );
    assert_eq!(hex(circle.id().as_bytes()), case["circleId"]);
    let responder = PeerId::try_from(unhex(&case["responderPeerId"]).as_slice()).unwrap();
    let mut transcript = Transcript::new(circle.id(), &responder);
    assert_eq!(hex(transcript.hash()), case["transcripts"][0]);
    let mut run = Run::new(&RustCrypto);
    run.called = responder;
    run.seed = match case["name"].as_str() {
        Some("identified") => "identified",
        _ => "anonymous",
    };
    let messages: [Message; 5] = std::array::from_fn(|at| message(&unhex(&case["messages"][at])));
    for (at, message) in messages.iter().enumerate() {
        let before = *transcript.hash();
        transcript = transcript.with(message);
        assert_eq!(hex(transcript.hash()), case["transcripts"][at + 1]);
        let (role, name) = match at {
            3 => (Role::Responder, "bob"),
            4 if case["name"] == "identified" => (Role::Initiator, "alice"),
            _ => continue,
        };
        let certificate = identity(name, &RustCrypto).certificate().clone();
        let signature = &message.bytes()[message.bytes().len() - 512..];
        let signed = signed_bytes(role, &before, certificate.spki_der());
        certificate.verify(&signed, signature).unwrap();
    }
    let (of_initiator, of_responder) = aes_keys(&run, &messages);
    assert_eq!(hex(&of_initiator), case["initiatorAesKey"]);
    assert_eq!(hex(&of_responder), case["responderAesKey"]);
    let (of_initiator, of_responder) = kem_secrets(&run, &messages);
    assert_eq!(hex(&of_initiator), case["initiatorKemSecret"]);
    assert_eq!(hex(&of_responder), case["responderKemSecret"]);
}

/// Feeds the recorded messages to both sides, which must produce the recorded messages and secrets.
/// Signatures are randomized, so the recorded ones replace fresh ones.
fn replay(case: &Value, inner: &'static dyn Provider) {
    let provider = Recorded::of(case, inner);
    let recorded: Vec<Message> = (0..5)
        .map(|at| message(&unhex(&case["messages"][at])))
        .collect();
    let seed = case["seed"].as_str().unwrap();
    let rng = |step: &str| Seeded::new(&format!("{seed} {step}"));
    let credential = match case["initiatorIdentity"].as_str() {
        Some(_) => Credential::Identity(identity("alice", &provider)),
        None => Credential::Anonymous,
    };
    let call = Call {
        circle: *home().id(),
        responder: PeerId::try_from(unhex(&case["responderPeerId"]).as_slice()).unwrap(),
        credential,
    };

    let key = session_key_from(&unhex(&case["initiatorSessionKey"]), inner);
    let transport = unhex(&case["initiatorTransport"]);
    let (hello, i) = Initiator::start(call, key, &transport, &mut rng("hello")).unwrap();
    assert_eq!(hello, recorded[0]);
    let (key_return, handshake, i) = i.hello_reply(&recorded[1], &mut rng("key return")).unwrap();
    assert_eq!(key_return, recorded[2]);
    assert_eq!(space(&handshake), case["handshakeSecrets"]);
    let (proof, at_i) = i.proof(&recorded[3], &mut rng("initiator proof")).unwrap();
    assert_eq!(proof, recorded[4]);

    let bob = identity("bob", &provider);
    let key = session_key_from(&unhex(&case["responderSessionKey"]), inner);
    let transport = unhex(&case["responderTransport"]);
    let r = Responder::new(*home().id(), bob, key, &transport).unwrap();
    let (reply, r) = r.hello(&recorded[0], &mut rng("hello reply")).unwrap();
    assert_eq!(reply, recorded[1]);
    let (handshake, proof, r) = r
        .key_return(&recorded[2], &mut rng("responder proof"))
        .unwrap();
    assert_eq!(space(&handshake), case["handshakeSecrets"]);
    assert_eq!(proof, recorded[3]);
    let at_r = r.proof(&recorded[4]).unwrap();

    for end in [&at_i, &at_r] {
        assert_eq!(space(&end.secrets), case["dataSecrets"]);
        assert_eq!(space(&end.secrets.next()), case["dataSecretsAfterUpdate"]);
        assert_eq!(hex(end.exporter.expose()), case["exporterSecret"]);
        let mut exported = [0; 40];
        end.exporter
            .export(&mut exported, EXPORT_LABEL, EXPORT_CONTEXT)
            .unwrap();
        assert_eq!(hex(&exported), case["export"]["output"]);
    }
    assert_eq!(hex(&at_i.peer_transport), case["responderTransport"]);
    assert_eq!(hex(&at_r.peer_transport), case["initiatorTransport"]);
    let anonymous = case["initiatorIdentity"].is_null();
    assert_eq!(at_r.peer == Peer::Anonymous, anonymous);
}

/// A provider whose keys sign with recorded signatures.
#[derive(Debug)]
struct Recorded {
    inner: &'static dyn Provider,
    alice: Vec<u8>,
    bob: Vec<u8>,
    imported: Mutex<usize>,
}

impl Recorded {
    fn of(case: &Value, inner: &'static dyn Provider) -> Self {
        let tail = |at: usize| {
            let bytes = unhex(&case["messages"][at]);
            bytes[bytes.len().saturating_sub(512)..].to_vec()
        };
        let anonymous = case["initiatorIdentity"].is_null();
        Self {
            inner,
            alice: tail(4),
            bob: tail(3),
            imported: Mutex::new(usize::from(anonymous)),
        }
    }
}

impl Provider for Recorded {
    fn name(&self) -> &'static str {
        "recorded"
    }

    /// Alice's key is imported first (if at all), then Bob's.
    fn private_key(&self, _: &RsaPrivateKey) -> Result<Box<dyn PrivateKey>, KeyError> {
        let mut imported = self.imported.lock().unwrap();
        *imported += 1;
        let signature = if *imported == 1 {
            &self.alice
        } else {
            &self.bob
        };
        Ok(Box::new(RecordedKey(signature.clone())))
    }

    fn kem_key(
        &self,
        key: &DecapsulationKey<MlKem768>,
    ) -> Result<Box<dyn KemPrivateKey>, KeyError> {
        self.inner.kem_key(key)
    }

    fn aead(&self, key: &Secret<16>) -> Box<dyn Aead> {
        self.inner.aead(key)
    }

    fn ctr(&self, key: &Secret<16>) -> Box<dyn Ctr> {
        self.inner.ctr(key)
    }
}

struct RecordedKey(Vec<u8>);

impl PrivateKey for RecordedKey {
    fn unwrap(
        &self,
        _: &mut dyn CryptoRng,
        _: &[u8],
        _: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        Err(OpenFailed)
    }

    fn sign(&self, _: &mut dyn CryptoRng, _: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.clone())
    }
}
