//! The obfuscating socket: between QUIC and the network every datagram is hidden or revealed,
//! and what arrives passes the gate first (spec §2). Segment offload stays intact.

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

/// Socket buffers. The usual 208 KiB overflow when 50 peers call at once, and each loss costs a
/// second.
const BUFFER_BYTES: usize = 2 << 20;

/// Bytes of the datagram that uses up QUIC's first stateless reset.
const PRIMER_BYTES: usize = 64;

thread_local! {
    /// Where a batch is enciphered on its way out: QUIC lends its bytes read-only.
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Binds a UDP socket with large buffers. An IPv6 socket carries IPv6 alone, so that both
/// families can be bound to one port.
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

/// A socket that hides what it sends, and reveals and sifts what it receives.
pub(crate) struct ObfuscatedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    obfuscator: Obfuscator,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    primer: Primer,
}

impl ObfuscatedSocket {
    /// Wraps `inner`. `own_id` is a connection id of ours that no connection has.
    pub(crate) fn new(
        inner: Arc<dyn AsyncUdpSocket>,
        obfuscator: Obfuscator,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        own_id: &[u8],
    ) -> io::Result<Self> {
        let primer = Primer::new(inner.local_addr()?, own_id);
        Ok(Self {
            inner,
            obfuscator,
            gate,
            counters,
            primer,
        })
    }

    /// Reveals the datagrams of one receive buffer and moves those that pass the gate to its
    /// front. Returns how many bytes remain.
    ///
    /// All datagrams but the last have `stride` bytes, and so have those that remain.
    fn sift(&self, buffer: &mut [u8], stride: usize) -> usize {
        let stride = stride.max(1);
        let (mut from, mut kept) = (0, 0);
        while from < buffer.len() {
            let to = buffer.len().min(from.saturating_add(stride));
            if self.admit(buffer.get_mut(from..to).unwrap_or_default()) {
                if kept != from {
                    buffer.copy_within(from..to, kept);
                }
                kept += to - from;
            }
            from = to;
        }
        kept
    }

    fn admit(&self, datagram: &mut [u8]) -> bool {
        self.obfuscator.apply(datagram);
        match self.gate.check(datagram) {
            Ok(()) => true,
            Err(reason) => {
                self.counters.count(reason);
                false
            }
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
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        OUTGOING.with_borrow_mut(|batch| {
            batch.clear();
            batch.extend_from_slice(transmit.contents);
            for datagram in batch.chunks_mut(segment.max(1)) {
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
            meta.len = self.sift(filled, meta.stride);
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

/// Uses up the one stateless reset that QUIC sends however long the interval between resets is
/// set. Without it, a recorded packet of a session that has ended would get one answer.
///
/// The first datagram that QUIC receives is made up here: to an id of ours that no connection
/// has, from an address of the documentation range; the reset to that address is swallowed.
struct Primer {
    datagram: [u8; PRIMER_BYTES],
    source: SocketAddr,
    done: AtomicBool,
}

impl Primer {
    fn new(local: SocketAddr, own_id: &[u8]) -> Self {
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

    fn is_from(&self, destination: SocketAddr) -> bool {
        destination == self.source
    }

    /// Fills the first buffer, once.
    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> Option<usize> {
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
