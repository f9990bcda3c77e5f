use super::*;
use crate::clock::Clock;
use crate::connection_id::ConnectionIds;
use crate::counters::{Counter, Counters};
use crate::dialled::{Dialled, ENGINES};
use crate::gate::Gate;
use crate::inbox::Inbox;
use crate::sorter::Sorter;
use crate::start_padding;
use m2_crypto::initial::QUIC_VERSION;
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, PeerId, Secret, provider};
use quinn::UdpPoller;
use quinn::udp::{RecvMeta, Transmit};
use rand_core::UnwrapErr;
use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

const STRIDE: usize = 100;
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Records outgoing datagrams, and returns one prepared buffer.
#[derive(Debug, Default)]
struct Fake {
    sent: Mutex<Vec<(Vec<u8>, Option<usize>)>>,
    arriving: Mutex<Vec<u8>>,
    /// The number of datagrams for which there is room; without it, for any number.
    room: Mutex<Option<usize>>,
}

impl AsyncUdpSocket for Fake {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        panic!("not used")
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if let Some(room) = &mut *self.room.lock().unwrap() {
            let left = room.checked_sub(1);
            *room = left.ok_or(io::ErrorKind::WouldBlock)?;
        }
        let sent = (transmit.contents.to_vec(), transmit.segment_size);
        self.sent.lock().unwrap().push(sent);
        Ok(())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let arriving = std::mem::take(&mut *self.arriving.lock().unwrap());
        buffers[0][..arriving.len()].copy_from_slice(&arriving);
        metas[0].len = arriving.len();
        metas[0].stride = match arriving.len() {
            start_padding::LARGEST => start_padding::LARGEST,
            _ => STRIDE,
        };
        metas[0].addr = PEER;
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 4433).into())
    }
}

/// The accepting socket of a medium on which nothing is dialled.
struct Host {
    fake: Arc<Fake>,
    socket: AcceptingSocket,
    ids: ConnectionIds,
    counters: Arc<Counters>,
}

impl Host {
    fn new() -> Self {
        let (fake, counters) = (Arc::<Fake>::default(), Arc::<Counters>::default());
        let ids = ConnectionIds::random(&mut UnwrapErr(getrandom::SysRng), Clock::system());
        let gate = || {
            let own = PeerId::from_bytes([1; 32]);
            let (circle, provider) = (*Circle::public().id(), provider::default());
            Gate::new(circle, own, provider, ids.clone(), Clock::system())
        };
        let accepting = Arc::new(gate());
        let sorter = Sorter::new(
            Arc::new(obfuscator()),
            Arc::clone(&accepting),
            std::array::from_fn(|_| Arc::new(gate())),
            Arc::new(Dialled::new(Circle::public(), provider::default())),
            Arc::clone(&counters),
        );
        let socket = AcceptingSocket::new(
            Medium::network(Arc::clone(&fake) as _, None),
            Arc::new(obfuscator()),
            accepting,
            sorter,
            <[Arc<Inbox>; ENGINES]>::default(),
            &ids.issue(),
        );
        Self {
            fake,
            socket: socket.unwrap(),
            ids,
            counters,
        }
    }

    fn receive(&self) -> (Vec<u8>, RecvMeta) {
        let mut buffer = vec![0; 4096];
        let mut metas = [RecvMeta::default()];
        let mut context = Context::from_waker(Waker::noop());
        let mut buffers = [IoSliceMut::new(&mut buffer)];
        let polled = self
            .socket
            .poll_recv(&mut context, &mut buffers, &mut metas);
        assert!(matches!(polled, Poll::Ready(Ok(1))));
        buffer.truncate(metas[0].len);
        (buffer, metas[0])
    }

    /// Lets one buffer of plain datagrams arrive.
    fn arrive(&self, plain: &[u8], length: usize) {
        let mut wire = plain.to_vec();
        for datagram in wire.chunks_mut(length) {
            obfuscator().apply(datagram);
        }
        *self.fake.arriving.lock().unwrap() = wire;
    }

    fn send(&self, contents: &[u8], segment_size: Option<usize>) {
        self.try_send(contents, segment_size).unwrap();
    }

    fn try_send(&self, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let transmit = Transmit {
            destination: PEER,
            ecn: None,
            contents,
            segment_size,
            src_ip: None,
        };
        self.socket.try_send(&transmit)
    }

    /// Returns what was sent, revealed.
    fn sent(&self) -> Vec<Vec<u8>> {
        let sent = std::mem::take(&mut *self.fake.sent.lock().unwrap());
        let sent = sent.into_iter().map(|(mut datagram, _)| {
            obfuscator().apply(&mut datagram);
            datagram
        });
        sent.collect()
    }
}

fn obfuscator() -> Obfuscator {
    Obfuscator::new(&Secret::new([6; 16]), provider::default())
}

fn packet(id: &[u8], fill: u8, length: usize) -> Vec<u8> {
    let mut packet = [&[0x41], id].concat();
    packet.resize(length, fill);
    packet
}

/// Returns a Handshake packet between two ids.
fn of_handshake(to: &[u8], from: &[u8], length: usize) -> Vec<u8> {
    let mut packet = vec![0xe0];
    packet.extend_from_slice(&QUIC_VERSION.to_be_bytes());
    for id in [to, from] {
        packet.push(id.len() as u8);
        packet.extend_from_slice(id);
    }
    let rest = (length - packet.len() - 2) as u16;
    packet.extend_from_slice(&(0x4000 | rest).to_be_bytes());
    packet.resize(length, 9);
    packet
}

#[test]
fn every_segment_is_obfuscated_separately() {
    let host = Host::new();
    let batch: Vec<u8> = (0..250_u8).map(|byte| byte & 0x7f).collect();
    host.send(&batch, Some(STRIDE));
    let (mut wire, segment) = host.fake.sent.lock().unwrap().pop().unwrap();
    assert_eq!(segment, Some(STRIDE));
    assert_ne!(wire, batch);
    for datagram in wire.chunks_mut(STRIDE) {
        obfuscator().apply(datagram);
    }
    assert_eq!(wire, batch);
}

#[test]
fn dropped_datagrams_leave_no_gap_in_a_batch() {
    let host = Host::new();
    host.receive();
    let good = [1, 2, 3].map(|fill| packet(&host.ids.issue(), fill, STRIDE));
    let last = packet(&host.ids.issue(), 4, 60);
    let bad = packet(&[9; 16], 5, STRIDE);
    let batch = [&bad, &good[0], &bad, &bad, &good[1], &good[2], &bad, &last];
    host.arrive(&batch.map(Vec::as_slice).concat(), STRIDE);
    let (received, meta) = host.receive();
    assert_eq!(meta.stride, STRIDE);
    assert_eq!(received, [good.concat(), last].concat());
    assert_eq!(host.counters.get(Counter::DatagramForeignId), 4);
    // A batch of noise alone becomes an empty buffer.
    *host.fake.arriving.lock().unwrap() = vec![7; 350];
    assert!(host.receive().0.is_empty());
}

#[test]
fn the_first_reset_is_provoked_and_dropped() {
    let host = Host::new();
    let (primer, meta) = host.receive();
    assert!(host.ids.is_ours(&primer[1..17]));
    let transmit = Transmit {
        destination: meta.addr,
        ecn: None,
        contents: &[1; 40],
        segment_size: None,
        src_ip: None,
    };
    host.socket.try_send(&transmit).unwrap();
    assert!(host.sent().is_empty());
    assert!(host.receive().0.is_empty(), "once");
}

#[test]
fn answers_are_padded_at_most_to_the_largest_datagram_of_the_peer() {
    let host = Host::new();
    host.receive();
    let answer = of_handshake(&[9; 16], &host.ids.issue(), 60);
    host.send(&answer, None);
    let [sent] = host.sent().try_into().unwrap();
    assert_eq!(sent, answer, "nothing came from there");
    host.arrive(&of_handshake(&host.ids.issue(), &[9; 16], STRIDE), STRIDE);
    host.receive();
    let mut longest = 0;
    for _ in 0..4 {
        host.send(&answer, None);
        let [sent] = host.sent().try_into().unwrap();
        assert_eq!(sent[..answer.len()], answer);
        assert!(sent.len() == 60 || (77..=STRIDE).contains(&sent.len()));
        longest += sent.len();
    }
    assert!(longest <= 3 * STRIDE + answer.len(), "{longest}");
}

#[test]
fn padding_begins_with_a_clear_fixed_bit_and_follows_no_short_packet() {
    let host = Host::new();
    host.receive();
    let source = host.ids.issue();
    let mut padded = 0;
    for _ in 0..200 {
        host.arrive(&of_handshake(&host.ids.issue(), &[9; 16], 1_350), 1_350);
        host.receive();
        let alone = of_handshake(&[9; 16], &source, 200);
        let followed = [
            of_handshake(&[9; 16], &source, 200),
            packet(&[9; 16], 1, 50),
        ]
        .concat();
        // QUIC hands both over as one batch if they have one size.
        host.send(&[alone.clone(), alone.clone()].concat(), Some(200));
        host.send(&followed, None);
        let [one, two, three] = host.sent().try_into().unwrap();
        for sent in [one, two] {
            assert_eq!(sent[..200], alone);
            if let Some(first) = sent.get(200) {
                assert_eq!(first & start_padding::FIXED_BIT, 0);
                assert!(sent.len() >= 200 + start_padding::SHORTEST);
                padded += 1;
            }
        }
        assert_eq!(three, followed);
    }
    assert!(padded > 300, "{padded}");
}

/// QUIC sends a whole batch again if there was no room for it.
#[test]
fn a_batch_of_a_handshake_is_never_sent_twice_in_part() {
    let host = Host::new();
    host.receive();
    let one = of_handshake(&[9; 16], &host.ids.issue(), STRIDE);
    let batch = [one.clone(), one].concat();
    *host.fake.room.lock().unwrap() = Some(1);
    host.send(&batch, Some(STRIDE));
    assert_eq!(host.sent().len(), 1);
    let blocked = host.try_send(&batch, Some(STRIDE)).unwrap_err();
    assert_eq!(blocked.kind(), io::ErrorKind::WouldBlock);
    assert!(host.sent().is_empty());
}
