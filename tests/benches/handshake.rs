//! The session handshake as a whole, and its RSA operations separately, with each provider.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use m2_crypto::handshake::{Call, Credential, Established, Initiator, Responder};
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Circle, Identity, Provider, provider};
use rand_core::UnwrapErr;
use rsa::RsaPrivateKey;
use std::sync::Arc;

/// A placeholder for QUIC's transport parameters, with about their usual size in bytes.
const TRANSPORT: [u8; 100] = [7; 100];

/// Two peers whose session keys can be used for any number of handshakes.
struct Peers {
    provider: &'static dyn Provider,
    caller: Arc<Identity>,
    called: Arc<Identity>,
    session_keys: [RsaPrivateKey; 2],
}

impl Peers {
    fn new(provider: &'static dyn Provider) -> Self {
        let key = || RsaPrivateKey::new(&mut rng(), 2048).unwrap();
        Self {
            provider,
            caller: identity("alice", provider),
            called: identity("bob", provider),
            session_keys: [key(), key()],
        }
    }

    fn pair(&self, which: usize) -> SessionKeyPair {
        SessionKeyPair::from_key(&self.session_keys[which], self.provider).unwrap()
    }

    fn shake_hands(&self, own: SessionKeyPair, its: SessionKeyPair) -> (Established, Established) {
        let circle = *Circle::public().id();
        let call = Call {
            circle,
            responder: self.called.peer_id(&circle),
            credential: Credential::Identity(Arc::clone(&self.caller)),
        };
        let rng = &mut rng();
        let called = Arc::clone(&self.called);
        let responder = Responder::new(circle, called, its, &TRANSPORT).unwrap();
        let (hello, initiator) = Initiator::start(call, own, &TRANSPORT, rng).unwrap();
        let (reply, responder) = responder.hello(&hello, rng).unwrap();
        let (key_return, _, initiator) = initiator.hello_reply(&reply, rng).unwrap();
        let (_, proof, responder) = responder.key_return(&key_return, rng).unwrap();
        let (last, of_caller) = initiator.proof(&proof, rng).unwrap();
        (of_caller, responder.proof(&last).unwrap())
    }
}

fn whole(criterion: &mut Criterion) {
    for provider in provider::all() {
        let peers = Peers::new(*provider);
        let name = format!("handshake/both sides/{}", provider.name());
        criterion.bench_function(&name, |bencher| {
            bencher.iter_batched(
                || (peers.pair(0), peers.pair(1)),
                |(own, its)| peers.shake_hands(own, its),
                BatchSize::SmallInput,
            );
        });
    }
}

fn private_operations(criterion: &mut Criterion) {
    for provider in provider::all() {
        let (peers, rng) = (Peers::new(*provider), &mut rng());
        let (session, identity) = (peers.pair(0), &peers.caller);
        let of_session = session.public().wrap(rng, b"bench", &[7; 16]).unwrap();
        let of_identity = identity
            .certificate()
            .wrap(rng, b"bench", &[7; 16])
            .unwrap();
        let mut group = criterion.benchmark_group(format!("rsa/{}", provider.name()));
        group.bench_function("2048 unwrap", |bencher| {
            bencher.iter(|| session.unwrap(rng, b"bench", &of_session).unwrap());
        });
        group.bench_function("4096 unwrap", |bencher| {
            bencher.iter(|| identity.unwrap(rng, b"bench", &of_identity).unwrap());
        });
        group.bench_function("4096 sign", |bencher| {
            bencher.iter(|| identity.sign(rng, b"bench").unwrap());
        });
    }
}

/// Public operations and key generation use the same implementation with every provider.
fn public_operations(criterion: &mut Criterion) {
    let (peers, rng) = (Peers::new(provider::default()), &mut rng());
    let (session, identity) = (peers.pair(0), &peers.caller);
    let signature = identity.sign(rng, b"bench").unwrap();
    let certificate = identity.certificate();
    let mut group = criterion.benchmark_group("rsa");
    group.bench_function("2048 wrap", |bencher| {
        bencher.iter(|| session.public().wrap(rng, b"bench", &[7; 16]).unwrap());
    });
    group.bench_function("4096 wrap", |bencher| {
        bencher.iter(|| certificate.wrap(rng, b"bench", &[7; 16]).unwrap());
    });
    group.bench_function("4096 verify", |bencher| {
        bencher.iter(|| certificate.verify(b"bench", &signature).unwrap());
    });
    group
        .sample_size(10)
        .bench_function("2048 generate", |bencher| {
            bencher.iter(|| SessionKeyPair::generate(rng, peers.provider).unwrap());
        });
}

fn identity(name: &str, provider: &'static dyn Provider) -> Arc<Identity> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/identities");
    let pem = std::fs::read_to_string(format!("{directory}/{name}.pem")).unwrap();
    Arc::new(Identity::from_pem(&pem, None, provider).unwrap())
}

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

criterion_group!(benches, whole, private_operations, public_operations);
criterion_main!(benches);
