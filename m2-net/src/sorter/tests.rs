use super::*;
use crate::clock::Clock;
use crate::connection_id::ConnectionIds;
use m2_crypto::initial::QUIC_VERSION;
use m2_crypto::line::{JOIN_TOKEN_BYTES, JoinToken};
use m2_crypto::obfuscation::IV_BYTES;
use m2_crypto::{Circle, PeerId, provider};
use m2_wire::line::Channel;
use rand_core::{Rng, UnwrapErr};

const OWN: PeerId = PeerId::from_bytes([1; 32]);
const BOB: PeerId = PeerId::from_bytes([2; 32]);
const CAROL: PeerId = PeerId::from_bytes([3; 32]);

struct Host {
    sorter: Sorter,
    accepting: ConnectionIds,
    dialling: [ConnectionIds; ENGINES],
    dialled: Arc<Dialled>,
    counters: Arc<Counters>,
}

impl Host {
    fn new() -> Self {
        let ids = || ConnectionIds::random(&mut UnwrapErr(getrandom::SysRng), Clock::system());
        let gate = |ids: &ConnectionIds| {
            let (circle, provider) = (*Circle::public().id(), provider::default());
            Arc::new(Gate::new(
                circle,
                OWN,
                provider,
                ids.clone(),
                Clock::system(),
            ))
        };
        let (accepting, dialling) = (ids(), std::array::from_fn(|_| ids()));
        let dialled = Arc::new(Dialled::new(Circle::public(), provider::default()));
        let counters = Arc::<Counters>::default();
        let sorter = Sorter::new(
            Arc::new(of(OWN)),
            gate(&accepting),
            dialling.each_ref().map(gate),
            Arc::clone(&dialled),
            Arc::clone(&counters),
        );
        Self {
            sorter,
            accepting,
            dialling,
            dialled,
            counters,
        }
    }

    fn sort(&self, datagram: &[u8], source: SocketAddr) -> Option<Engine> {
        let mut datagram = datagram.to_vec();
        let keys = self.sorter.keys(source);
        self.sorter.sort(&mut datagram, source, &keys)
    }
}

fn of(responder: PeerId) -> Obfuscator {
    Obfuscator::of_responder(&Circle::public(), &responder, provider::default())
}

fn address(port: u16) -> SocketAddr {
    ([192, 0, 2, 7], port).into()
}

/// Returns a packet of a session, obfuscated for it.
fn short(to: &[u8], responder: PeerId) -> Vec<u8> {
    let mut packet = [&[0x41], to].concat();
    packet.resize(60, 9);
    of(responder).apply(&mut packet);
    packet
}

/// Returns a Handshake packet, obfuscated.
fn long(to: &[u8], responder: PeerId) -> Vec<u8> {
    let mut packet = vec![0xe0];
    packet.extend_from_slice(&QUIC_VERSION.to_be_bytes());
    packet.push(to.len() as u8);
    packet.extend_from_slice(to);
    packet.push(0);
    packet.resize(100, 9);
    of(responder).apply(&mut packet);
    packet
}

const fn dialling(engine: DialEngine) -> Option<Engine> {
    Some(Engine::Dialling(engine))
}

#[tokio::test]
async fn each_datagram_reaches_the_engine_of_its_session() {
    let host = Host::new();
    let [bob, carol] = [BOB, CAROL].map(|peer| host.dialled.lease(address(1), peer));
    let (bob, carol) = (bob.await, carol.await);
    assert_ne!(bob.engine(), carol.engine());
    for make in [short, long] {
        let id = |lease: &crate::dialled::Lease| host.dialling[lease.engine().index()].issue();
        let of_bob = make(&id(&bob), BOB);
        let of_carol = make(&id(&carol), CAROL);
        let of_own = make(&host.accepting.issue(), OWN);
        assert_eq!(host.sort(&of_bob, address(1)), dialling(bob.engine()));
        assert_eq!(host.sort(&of_carol, address(1)), dialling(carol.engine()));
        // A session that the same peer dialled has the local key.
        assert_eq!(host.sort(&of_own, address(1)), Some(Engine::Accepting));
        // Sessions that were accepted may move; those that were dialled do not.
        assert_eq!(host.sort(&of_own, address(2)), Some(Engine::Accepting));
        assert_eq!(host.sort(&of_bob, address(2)), None);
        // The id of another engine, or under another key, is none.
        assert_eq!(host.sort(&make(&id(&bob), CAROL), address(1)), None);
        assert_eq!(
            host.sort(&make(&host.accepting.issue(), BOB), address(1)),
            None
        );
        assert_eq!(host.sort(&make(&id(&bob), OWN), address(1)), None);
    }
    drop(bob);
    let of_bob = short(&host.dialling[0].issue(), BOB);
    assert_eq!(host.sort(&of_bob, address(1)), None);
}

#[tokio::test]
async fn a_channel_of_a_line_has_one_role() {
    let host = Host::new();
    let on_line =
        |channel| line_address::of(1, Channel(channel), &JoinToken([0; JOIN_TOKEN_BYTES]));
    let (joined, called) = (on_line(1), on_line(2));
    let bob = host.dialled.lease(joined, BOB).await;
    let of_bob = short(&host.dialling[bob.engine().index()].issue(), BOB);
    let of_own = short(&host.accepting.issue(), OWN);
    assert_eq!(host.sort(&of_bob, joined), dialling(bob.engine()));
    assert_eq!(host.sort(&of_own, called), Some(Engine::Accepting));
    assert_eq!(host.sort(&of_own, joined), None);
    assert_eq!(host.sort(&of_bob, called), None);
}

#[tokio::test]
async fn noise_costs_one_trial_and_at_most_four_more_where_peers_are_dialled() {
    use counting::{Counting, bytes_applied};
    const DATAGRAMS: usize = 2_000;
    let counters = Arc::<Counters>::default();
    let dialled = Arc::new(Dialled::new(Circle::public(), &Counting));
    let host = Host::new();
    let sorter = Sorter::new(
        Arc::new(Obfuscator::of_responder(&Circle::public(), &OWN, &Counting)),
        Arc::clone(&host.sorter.accepting),
        host.sorter.dialling.clone(),
        Arc::clone(&dialled),
        Arc::clone(&counters),
    );
    let mut leases = Vec::new();
    for peer in 10..10 + ENGINES as u8 {
        leases.push(
            dialled
                .lease(address(1), PeerId::from_bytes([peer; 32]))
                .await,
        );
    }
    // A trial reveals the start of a datagram alone.
    for (source, trials) in [(address(2), 1), (address(1), ENGINES + 1)] {
        let before = bytes_applied();
        for _ in 0..DATAGRAMS {
            let mut noise = [0; 1_200];
            UnwrapErr(getrandom::SysRng).fill_bytes(&mut noise);
            let keys = sorter.keys(source);
            assert_eq!(sorter.sort(&mut noise, source, &keys), None);
        }
        let bytes = trials * START_BYTES * DATAGRAMS;
        assert_eq!(bytes_applied() - before, bytes, "{source}");
    }
    let counted: u64 = counters.snapshot().values().sum();
    assert_eq!(counted, 2 * DATAGRAMS as u64, "each of them is counted");
}

#[test]
fn short_datagrams_are_dropped() {
    let host = Host::new();
    for length in 0..=IV_BYTES + 1 {
        assert_eq!(host.sort(&vec![7; length], address(1)), None);
    }
    let counted: u64 = host.counters.snapshot().values().sum();
    assert_eq!(counted, IV_BYTES as u64 + 2);
}

/// A provider that counts the bytes that its AES-CTR processes on the thread of the test.
mod counting {
    use m2_crypto::Secret;
    use m2_crypto::error::KeyError;
    use m2_crypto::provider::{Aead, Counter, Ctr, KemPrivateKey, PrivateKey, Provider, default};
    use ml_kem::{DecapsulationKey, MlKem768};
    use rsa::RsaPrivateKey;
    use std::cell::Cell;

    thread_local! {
        static APPLIED: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn bytes_applied() -> usize {
        APPLIED.get()
    }

    #[derive(Debug)]
    pub(super) struct Counting;

    struct CountingCtr(Box<dyn Ctr>);

    impl Ctr for CountingCtr {
        fn apply(&self, counter: &Counter, in_out: &mut [u8]) {
            APPLIED.set(APPLIED.get() + in_out.len());
            self.0.apply(counter, in_out);
        }
    }

    impl Provider for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn private_key(&self, key: &RsaPrivateKey) -> Result<Box<dyn PrivateKey>, KeyError> {
            default().private_key(key)
        }

        fn kem_key(
            &self,
            key: &DecapsulationKey<MlKem768>,
        ) -> Result<Box<dyn KemPrivateKey>, KeyError> {
            default().kem_key(key)
        }

        fn aead(&self, key: &Secret<16>) -> Box<dyn Aead> {
            default().aead(key)
        }

        fn ctr(&self, key: &Secret<16>) -> Box<dyn Ctr> {
            Box::new(CountingCtr(default().ctr(key)))
        }
    }
}
