//! The obfuscating sockets: every datagram is obfuscated on its way out, under the key of the peer
//! that was dialled for its session. Incoming datagrams are revealed, assigned to the engine of their
//! session and must pass its gate before QUIC sees them (docs/spec/obfuscation.md). Segmentation
//! offload still works.

mod accepting;
mod dialling;
mod medium;
mod outgoing;
mod plain;
mod reset_suppressor;

pub(crate) use accepting::AcceptingSocket;
pub(crate) use dialling::DiallingSocket;
pub(crate) use medium::Medium;

use plain::PlainSocket;
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// The size of the socket buffers. The default of 208 KiB overflows when 50 peers dial at once, and
/// each lost packet costs a second.
const BUFFER_BYTES: usize = 2 << 20;

const LONG_HEADER: u8 = 0x80;

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
    wrap(socket.into())
}

/// Returns QUIC's own socket, or a plain one if the system refuses an option that that one needs.
fn wrap(socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    let kept = socket.try_clone()?;
    match TokioRuntime.wrap_udp_socket(socket) {
        Ok(wrapped) => Ok(wrapped),
        Err(error) => {
            tracing::info!(%error, "the system lacks options of UDP sockets: transfers are slower");
            Ok(Arc::new(PlainSocket::new(kept)?))
        }
    }
}

/// Returns whether a plain datagram begins with a packet of a handshake.
fn has_long_header(datagram: &[u8]) -> bool {
    let first = datagram.first();
    first.is_some_and(|first| first & LONG_HEADER != 0)
}

#[cfg(test)]
mod tests;
