//! The obfuscating socket: every datagram is obfuscated on its way out. Incoming datagrams are
//! deobfuscated and must pass the gate before QUIC sees them (docs/spec/obfuscation.md).
//! Segmentation offload still works.

use crate::allow_list::AllowList;
use crate::counters::Counters;
use crate::gate::Gate;
use m2_crypto::obfuscation::Obfuscator;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// The size of the socket buffers. The default of 208 KiB overflows when 50 peers dial at once, and
/// each lost packet costs a second.
const BUFFER_BYTES: usize = 2 << 20;

/// The size of the datagram that uses up QUIC's first stateless reset.
const PRIMER_BYTES: usize = 64;

thread_local! {
    /// The buffer in which an outgoing batch is obfuscated, because QUIC lends its bytes read-only.
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Binds a UDP socket with large buffers. An IPv6 socket carries IPv6 only, so that both families
/// can be bound to one port.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Best effort: the system may allow less.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    TokioRuntime.wrap_udp_socket(socket.into())
}

/// A socket that obfuscates outgoing datagrams, and deobfuscates and filters incoming ones.
pub(crate) struct ObfuscatedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    obfuscator: Arc<Obfuscator>,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    primer: ResetSuppressor,
    only_to: Option<Arc<AllowList>>,
}

impl ObfuscatedSocket {
    /// Wraps `inner`. `own_id` is a local connection id that is not used by any connection.
    pub(crate) fn new(
        inner: Arc<dyn AsyncUdpSocket>,
        obfuscator: Arc<Obfuscator>,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        own_id: &[u8],
    ) -> io::Result<Self> {
        let primer = ResetSuppressor::new(inner.local_addr()?, own_id);
        Ok(Self {
            inner,
            obfuscator,
            gate,
            counters,
            primer,
            only_to: None,
        })
    }

    /// Restricts outgoing datagrams to the addresses on the list, if there is one.
    pub(crate) fn only_to(mut self, list: Option<Arc<AllowList>>) -> Self {
        self.only_to = list;
        self
    }

    /// Deobfuscates the datagrams of one receive buffer and moves those that pass the gate to its
    /// front. Returns how many bytes remain.
    ///
    /// All datagrams except the last are `stride` bytes long, and so are those that remain.
    fn sift(&self, buffer: &mut [u8], stride: usize, source: SocketAddr) -> usize {
        let stride = stride.max(1);
        let (mut from, mut kept) = (0, 0);
        while from < buffer.len() {
            let to = buffer.len().min(from.saturating_add(stride));
            let datagram = buffer.get_mut(from..to).unwrap_or_default();
            if admit(
                datagram,
                source,
                &self.obfuscator,
                &self.gate,
                &self.counters,
            ) {
                if kept != from {
                    buffer.copy_within(from..to, kept);
                }
                kept += to - from;
            }
            from = to;
        }
        kept
    }
}

/// Deobfuscates a datagram. Returns whether it may go on to QUIC, and counts it if not.
pub(crate) fn admit(
    datagram: &mut [u8],
    source: SocketAddr,
    obfuscator: &Obfuscator,
    gate: &Gate,
    counters: &Counters,
) -> bool {
    obfuscator.apply(datagram);
    match gate.check(datagram, source) {
        Ok(()) => true,
        Err(reason) => {
            counters.count(reason);
            false
        }
    }
}

impl AsyncUdpSocket for ObfuscatedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.primer.is_from(transmit.destination) {
            return Ok(());
        }
        let list = self.only_to.as_ref();
        if list.is_some_and(|list| !list.allows(transmit.destination)) {
            return Ok(());
        }
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        tracing::trace!(bytes = transmit.contents.len(), segment, "datagrams leave");
        OUTGOING.with_borrow_mut(|batch| {
            batch.clear();
            batch.extend_from_slice(transmit.contents);
            for datagram in batch.chunks_mut(segment.max(1)) {
                self.gate.note_sent(datagram);
                self.obfuscator.apply(datagram);
            }
            self.inner.try_send(&Transmit {
                destination: transmit.destination,
                ecn: transmit.ecn,
                contents: batch,
                segment_size: transmit.segment_size,
                src_ip: transmit.src_ip,
            })
        })
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if let Some(count) = self.primer.receive(buffers, metas) {
            return Poll::Ready(Ok(count));
        }
        let received = match self.inner.poll_recv(cx, buffers, metas) {
            Poll::Ready(Ok(received)) => received,
            other => return other,
        };
        for (buffer, meta) in buffers.iter_mut().zip(metas.iter_mut()).take(received) {
            let filled = buffer.get_mut(..meta.len).unwrap_or_default();
            let bytes = filled.len();
            meta.len = self.sift(filled, meta.stride, meta.addr);
            tracing::trace!(bytes, passed = meta.len, "datagrams arrived");
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

impl fmt::Debug for ObfuscatedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObfuscatedSocket(..)")
    }
}

/// Uses up the single stateless reset that QUIC sends regardless of the configured interval.
/// Otherwise a replayed packet of a session that has ended would get one answer.
///
/// The first datagram that QUIC receives is synthetic: addressed to a local id that is not used by
/// any connection, from an address of the documentation range. The reset to that address is
/// dropped.
pub(crate) struct ResetSuppressor {
    datagram: [u8; PRIMER_BYTES],
    source: SocketAddr,
    done: AtomicBool,
}

impl ResetSuppressor {
    pub(crate) fn new(local: SocketAddr, own_id: &[u8]) -> Self {
        let mut datagram = [0; PRIMER_BYTES];
        for (to, from) in datagram.iter_mut().zip([0x40].iter().chain(own_id)) {
            *to = *from;
        }
        let source: IpAddr = match local {
            SocketAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        Self {
            datagram,
            source: SocketAddr::new(source, 9),
            done: AtomicBool::new(false),
        }
    }

    /// Returns whether `destination` is the synthetic source, so that the reset must be dropped.
    pub(crate) fn is_from(&self, destination: SocketAddr) -> bool {
        destination == self.source
    }

    /// Fills the first buffer, once.
    pub(crate) fn receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Option<usize> {
        if self.done.load(Ordering::Relaxed) || self.done.swap(true, Ordering::Relaxed) {
            return None;
        }
        let buffer = buffers.first_mut()?.get_mut(..PRIMER_BYTES)?;
        buffer.copy_from_slice(&self.datagram);
        *metas.first_mut()? = RecvMeta {
            addr: self.source,
            len: PRIMER_BYTES,
            stride: PRIMER_BYTES,
            ecn: None,
            dst_ip: None,
        };
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::connection_id::ConnectionIds;
    use crate::counters::Counter;
    use m2_crypto::{Circle, PeerId, Secret, provider};
    use rand_core::UnwrapErr;
    use std::sync::Mutex;
    use std::task::Waker;

    const STRIDE: usize = 100;

    /// Records outgoing datagrams, and returns one prepared buffer.
    #[derive(Debug, Default)]
    struct Fake {
        sent: Mutex<Vec<(Vec<u8>, Option<usize>)>>,
        arriving: Mutex<Vec<u8>>,
    }

    impl AsyncUdpSocket for Fake {
        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            panic!("not used")
        }

        fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
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
            metas[0].stride = STRIDE;
            Poll::Ready(Ok(1))
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok((Ipv4Addr::LOCALHOST, 4433).into())
        }
    }

    fn wrapped(fake: &Arc<Fake>) -> (ObfuscatedSocket, ConnectionIds) {
        let ids = ConnectionIds::random(&mut UnwrapErr(getrandom::SysRng), Clock::system());
        let gate = Gate::new(
            *Circle::public().id(),
            PeerId::from_bytes([1; 32]),
            provider::default(),
            ids.clone(),
            Clock::system(),
        );
        let socket = ObfuscatedSocket::new(
            Arc::clone(fake) as _,
            Arc::new(obfuscator()),
            Arc::new(gate),
            Arc::default(),
            &ids.issue(),
        );
        (socket.unwrap(), ids)
    }

    fn obfuscator() -> Obfuscator {
        Obfuscator::new(&Secret::new([6; 16]), provider::default())
    }

    fn receive(socket: &ObfuscatedSocket) -> (Vec<u8>, RecvMeta) {
        let mut buffer = vec![0; 4096];
        let mut metas = [RecvMeta::default()];
        let mut context = Context::from_waker(Waker::noop());
        let polled = socket.poll_recv(
            &mut context,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut metas,
        );
        assert!(matches!(polled, Poll::Ready(Ok(1))));
        buffer.truncate(metas[0].len);
        (buffer, metas[0])
    }

    fn packet(id: &[u8], fill: u8, length: usize) -> Vec<u8> {
        let mut packet = [&[0x41], id].concat();
        packet.resize(length, fill);
        packet
    }

    #[test]
    fn every_segment_is_obfuscated_separately() {
        let fake = Arc::new(Fake::default());
        let (socket, _) = wrapped(&fake);
        let batch: Vec<u8> = (0..250_u8).collect();
        let transmit = Transmit {
            destination: (Ipv4Addr::LOCALHOST, 1).into(),
            ecn: None,
            contents: &batch,
            segment_size: Some(STRIDE),
            src_ip: None,
        };
        socket.try_send(&transmit).unwrap();
        let (mut wire, segment) = fake.sent.lock().unwrap().pop().unwrap();
        assert_eq!(segment, Some(STRIDE));
        assert_ne!(wire, batch);
        for datagram in wire.chunks_mut(STRIDE) {
            obfuscator().apply(datagram);
        }
        assert_eq!(wire, batch);
    }

    #[test]
    fn dropped_datagrams_leave_no_gap_in_a_batch() {
        let fake = Arc::new(Fake::default());
        let (socket, ids) = wrapped(&fake);
        receive(&socket);
        let good = [1, 2, 3].map(|fill| packet(&ids.issue(), fill, STRIDE));
        let last = packet(&ids.issue(), 4, 60);
        let bad = packet(&[9; 16], 5, STRIDE);
        let batch = [&bad, &good[0], &bad, &bad, &good[1], &good[2], &bad, &last];
        let mut wire = batch.map(Vec::as_slice).concat();
        for datagram in wire.chunks_mut(STRIDE) {
            obfuscator().apply(datagram);
        }
        *fake.arriving.lock().unwrap() = wire;
        let (received, meta) = receive(&socket);
        assert_eq!(meta.stride, STRIDE);
        assert_eq!(received, [good.concat(), last].concat());
        assert_eq!(socket.counters.get(Counter::DatagramForeignId), 4);
        // A batch of noise alone becomes an empty buffer.
        *fake.arriving.lock().unwrap() = vec![7; 350];
        assert!(receive(&socket).0.is_empty());
    }

    #[test]
    fn the_first_reset_is_provoked_and_dropped() {
        let fake = Arc::new(Fake::default());
        let (socket, ids) = wrapped(&fake);
        let (primer, meta) = receive(&socket);
        assert!(ids.is_ours(&primer[1..17]));
        let transmit = Transmit {
            destination: meta.addr,
            ecn: None,
            contents: &[1; 40],
            segment_size: None,
            src_ip: None,
        };
        socket.try_send(&transmit).unwrap();
        assert!(fake.sent.lock().unwrap().is_empty());
        assert!(receive(&socket).0.is_empty(), "once");
    }
}
