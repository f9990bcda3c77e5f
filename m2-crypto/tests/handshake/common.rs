//! Fixed keys, reproducible randomness, and a complete handshake.

use data_encoding::HEXLOWER;
use m2_crypto::handshake::{
    AwaitReply, Call, Credential, Established, HandshakeError, Initiator, Message, Responder,
    SpaceSecrets,
};
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Circle, Identity, PeerId, Provider, Secret};
use rand_core::{TryCryptoRng, TryRng};
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const I_TRANSPORT: &[u8] = b"transport parameters of I";
pub(crate) const R_TRANSPORT: &[u8] = b"transport parameters of R";

/// SHA-256(seed ‖ block number u64), block after block.
pub(crate) struct Seeded {
    seed: Vec<u8>,
    block: u64,
    left: Vec<u8>,
}

impl Seeded {
    pub(crate) fn new(seed: &str) -> Self {
        Self {
            seed: seed.as_bytes().to_vec(),
            block: 0,
            left: Vec::new(),
        }
    }

    fn byte(&mut self) -> u8 {
        if self.left.is_empty() {
            let block = [self.seed.as_slice(), &self.block.to_be_bytes()].concat();
            self.left = Sha256::digest(block).iter().rev().copied().collect();
            self.block += 1;
        }
        self.left.pop().unwrap()
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(std::array::from_fn(|_| self.byte())))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(std::array::from_fn(|_| self.byte())))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill_with(|| self.byte());
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(name)
}

/// Compares with a vector file, or writes it when `M2_WRITE_VECTORS` is set.
pub(crate) fn check_file(name: &str, fresh: impl FnOnce() -> Value) -> Value {
    if std::env::var_os("M2_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&fresh()).unwrap() + "\n";
        fs::write(path(name), text).unwrap();
    }
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

pub(crate) fn identity(name: &str, provider: &dyn Provider) -> Arc<Identity> {
    let pem = fs::read_to_string(path(&format!("identities/{name}.pem"))).unwrap();
    Arc::new(Identity::from_pem(&pem, None, provider).unwrap())
}

/// Session keys as PKCS#8 DER. They are public and for tests only.
pub(crate) fn session_key_der(index: usize) -> Vec<u8> {
    let file = fs::read_to_string(path("handshake_keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&file).unwrap();
    unhex(&keys["sessionKeys"][index])
}

pub(crate) fn session_key(index: usize, provider: &'static dyn Provider) -> SessionKeyPair {
    session_key_from(&session_key_der(index), provider)
}

pub(crate) fn session_key_from(der: &[u8], provider: &'static dyn Provider) -> SessionKeyPair {
    let key = RsaPrivateKey::from_pkcs8_der(der).unwrap();
    SessionKeyPair::from_key(&key, provider).unwrap()
}

pub(crate) fn home() -> Circle {
    Circle::private("home", &Secret::new([0x17; 32]))
}

/// The participants of a run. By default Alice dials Bob in the circle "home".
pub(crate) struct Run {
    pub(crate) provider: &'static dyn Provider,
    pub(crate) i_circle: Circle,
    pub(crate) r_circle: Circle,
    pub(crate) caller: Credential,
    pub(crate) called: PeerId,
    pub(crate) answers: Arc<Identity>,
    pub(crate) i_key: usize,
    pub(crate) r_key: usize,
    pub(crate) seed: &'static str,
}

impl Run {
    pub(crate) fn new(provider: &'static dyn Provider) -> Self {
        let bob = identity("bob", provider);
        Self {
            provider,
            i_circle: home(),
            r_circle: home(),
            caller: Credential::Identity(identity("alice", provider)),
            called: bob.peer_id(home().id()),
            answers: bob,
            i_key: 0,
            r_key: 1,
            seed: "run",
        }
    }

    pub(crate) fn rng(&self, step: &str) -> Seeded {
        Seeded::new(&format!("{} {step}", self.seed))
    }

    /// Returns the seed of the ML-KEM half that the side of this step draws.
    pub(crate) fn kem_seed(&self, step: &str) -> Secret<64> {
        Secret::random(&mut self.rng(step))
    }

    pub(crate) fn start(&self) -> (Message, Initiator<AwaitReply>) {
        let call = Call {
            circle: *self.i_circle.id(),
            responder: self.called,
            credential: self.caller.clone(),
        };
        let key = session_key(self.i_key, self.provider);
        Initiator::start(call, key, I_TRANSPORT, &mut self.rng("hello")).unwrap()
    }

    /// Runs the whole handshake. `tamper` can replace each message; messages are numbered from 1.
    pub(crate) fn go(
        &self,
        mut tamper: impl FnMut(usize, Message) -> Message,
    ) -> Result<Done, HandshakeError> {
        let (hello, i) = self.start();
        let key = session_key(self.r_key, self.provider);
        let circle = *self.r_circle.id();
        let r = Responder::new(circle, self.answers.clone(), key, R_TRANSPORT)?;
        let (reply, r) = r.hello(&tamper(1, hello.clone()), &mut self.rng("hello reply"))?;
        assert_eq!(r.peer_transport().len(), I_TRANSPORT.len());
        let (key_return, i_handshake, i) =
            i.hello_reply(&tamper(2, reply.clone()), &mut self.rng("key return"))?;
        let (r_handshake, r_proof, r) = r.key_return(
            &tamper(3, key_return.clone()),
            &mut self.rng("responder proof"),
        )?;
        let (i_proof, at_i) = i.proof(
            &tamper(4, r_proof.clone()),
            &mut self.rng("initiator proof"),
        )?;
        let at_r = r.proof(&tamper(5, i_proof.clone()))?;
        Ok(Done {
            messages: [hello, reply, key_return, r_proof, i_proof],
            handshake: [i_handshake, r_handshake],
            at_i,
            at_r,
        })
    }
}

/// The state of both ends after a run.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) messages: [Message; 5],
    pub(crate) handshake: [SpaceSecrets; 2],
    pub(crate) at_i: Established,
    pub(crate) at_r: Established,
}

impl Done {
    /// Returns whether both ends hold the same keys in both spaces.
    pub(crate) fn agrees(&self) -> bool {
        let [i, r] = &self.handshake;
        same(i, r) && same(&self.at_i.secrets, &self.at_r.secrets)
    }
}

pub(crate) fn same(a: &SpaceSecrets, b: &SpaceSecrets) -> bool {
    a.initiator == b.initiator && a.responder == b.responder
}

/// Parses a message from bytes as received.
pub(crate) fn message(bytes: &[u8]) -> Message {
    let mut reader = m2_crypto::handshake::MessageReader::new();
    reader.push(bytes).unwrap().unwrap()
}
