//! The socket of a carrier: obfuscated datagrams as DATAGRAM frames of the session with the relay
//! (`docs/spec/line.md#packets`).

use super::carrier::Channels;
use super::{framed, parse, path};
use crate::line_address as address;
use crate::wire::line::Channel;
use bytes::{BufMut, Bytes};
use m2_crypto::line::{JOIN_TOKEN_BYTES, JoinToken};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Connection, SendDatagramError, UdpPoller};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// The number of packets that QUIC may hand over at once.
const SEGMENTS: usize = 10;

type Arriving = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// A socket whose network is a session with a relay.
pub(super) struct LineSocket {
    carrier: u32,
    connection: Connection,
    channels: Arc<Channels>,
    arriving: Mutex<Option<Arriving>>,
    outgoing: Arc<Outgoing>,
}

/// Packets that did not fit into the session's send buffer, and the wakers of tasks that wait for
/// room.
#[derive(Default)]
struct Outgoing {
    overflow: Mutex<Overflow>,
    filled: Notify,
}

#[derive(Default)]
struct Overflow {
    packets: VecDeque<Bytes>,
    /// True while the pump is sending packets that it has taken out of the queue.
    busy: bool,
    waiting: Vec<Waker>,
}

impl LineSocket {
    /// Creates the socket of the carrier with this number.
    pub(super) fn new(carrier: u32, connection: Connection, channels: Arc<Channels>) -> Self {
        let outgoing = Arc::new(Outgoing::default());
        tokio::spawn(pump(connection.clone(), Arc::clone(&outgoing)));
        Self {
            carrier,
            connection,
            channels,
            arriving: Mutex::new(None),
            outgoing,
        }
    }

    fn receive_one(&self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut arriving = lock(&self.arriving);
        let next = arriving.get_or_insert_with(|| {
            let connection = self.connection.clone();
            Box::pin(async move { connection.read_datagram().await.ok() })
        });
        match next.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(datagram) => {
                *arriving = None;
                // The carrier closes the endpoint of this socket; until then nothing arrives.
                datagram.map_or(Poll::Pending, |datagram| Poll::Ready(Ok(datagram)))
            }
        }
    }

    /// Copies a packet into `buffer`. Returns its metadata, or `None` for a packet of no channel.
    fn take(&self, datagram: &Bytes, buffer: &mut [u8]) -> Option<RecvMeta> {
        let (channel, packet) = parse(datagram)?;
        let source = self.channels.source(channel)?;
        buffer.get_mut(..packet.len())?.copy_from_slice(packet);
        Some(RecvMeta {
            addr: source,
            len: packet.len(),
            stride: packet.len(),
            ecn: None,
            dst_ip: None,
        })
    }

    /// Sends a datagram, or queues it if there is no room and wakes the pump.
    fn send(&self, datagram: Bytes, overflow: &mut Overflow) -> io::Result<()> {
        let blocked = overflow.busy || !overflow.packets.is_empty();
        if blocked || self.connection.datagram_send_buffer_space() < datagram.len() {
            overflow.packets.push_back(datagram);
            self.outgoing.filled.notify_one();
            return Ok(());
        }
        match path::send(&self.connection, datagram) {
            // A packet that is too large is lost, as on any path.
            Ok(()) | Err(SendDatagramError::TooLarge) => Ok(()),
            Err(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncUdpSocket for LineSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(LinePoller(Arc::clone(&self.outgoing)))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Some((carrier, channel)) = address::parse(&transmit.destination) else {
            return Ok(());
        };
        if carrier != self.carrier || self.channels.source(channel).is_none() {
            return Ok(());
        }
        let mut overflow = lock(&self.outgoing.overflow);
        // The datagrams of a handshake come one by one; QUIC's poller waits until all have left.
        if overflow.packets.len() >= SEGMENTS {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        for packet in transmit.contents.chunks(segment.max(1)) {
            let mut datagram = framed(channel, packet.len());
            datagram.put_slice(packet);
            self.send(datagram.freeze(), &mut overflow)?;
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut count = 0;
        let mut places = buffers.iter_mut().zip(metas.iter_mut());
        let mut place = places.next();
        while let Some((buffer, meta)) = &mut place {
            let datagram = match self.receive_one(cx) {
                Poll::Ready(datagram) => datagram?,
                Poll::Pending if count > 0 => break,
                Poll::Pending => return Poll::Pending,
            };
            if let Some(taken) = self.take(&datagram, buffer) {
                **meta = taken;
                count += 1;
                place = places.next();
            }
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(local(self.carrier))
    }

    fn max_transmit_segments(&self) -> usize {
        SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl Drop for LineSocket {
    fn drop(&mut self) {
        // Lets the pump end.
        self.outgoing.filled.notify_one();
    }
}

impl fmt::Debug for LineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineSocket(..)")
    }
}

/// Waits until the overflow queue is empty.
struct LinePoller(Arc<Outgoing>);

impl UdpPoller for LinePoller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut overflow = lock(&self.0.overflow);
        if !overflow.busy && overflow.packets.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !overflow
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            overflow.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl fmt::Debug for LinePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinePoller(..)")
    }
}

/// Sends queued packets as soon as there is room, then wakes QUIC.
async fn pump(connection: Connection, outgoing: Arc<Outgoing>) {
    while Arc::strong_count(&outgoing) > 1 {
        tokio::select! {
            () = outgoing.filled.notified() => {}
            _ = connection.closed() => return,
        }
        loop {
            let packets = {
                let mut overflow = lock(&outgoing.overflow);
                overflow.busy = !overflow.packets.is_empty();
                if !overflow.busy {
                    overflow.waiting.drain(..).for_each(Waker::wake);
                    break;
                }
                std::mem::take(&mut overflow.packets)
            };
            for packet in packets {
                // An error means that the packet is too large or the session has ended: it is lost
                // either way.
                let _ = path::send_wait(&connection, packet).await;
            }
        }
    }
}

/// Returns the address of the socket itself. No peer has it, because channels begin with 1.
fn local(carrier: u32) -> SocketAddr {
    address::of(carrier, Channel(0), &JoinToken([0; JOIN_TOKEN_BYTES]))
}

/// No update under these locks can be interrupted halfway, so a poisoned lock is still consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
