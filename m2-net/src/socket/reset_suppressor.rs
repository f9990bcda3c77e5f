//! Uses up the single stateless reset that QUIC sends regardless of the configured interval.

use quinn::udp::RecvMeta;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

/// The size of the datagram that uses up QUIC's first stateless reset.
const PRIMER_BYTES: usize = 64;

/// Uses up the first stateless reset of an engine. Otherwise a replayed packet of a session that has
/// ended would get one answer.
///
/// The first datagram that QUIC receives is synthetic: addressed to a local id that is not used by
/// any connection, from an address of the documentation range. The reset to that address is
/// dropped.
pub(super) struct ResetSuppressor {
    datagram: [u8; PRIMER_BYTES],
    source: SocketAddr,
    done: AtomicBool,
}

impl ResetSuppressor {
    /// `own_id` is a local connection id that is not used by any connection.
    pub(super) fn new(local: SocketAddr, own_id: &[u8]) -> Self {
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
    pub(super) fn is_from(&self, destination: SocketAddr) -> bool {
        destination == self.source
    }

    /// Fills the first buffer, once.
    pub(super) fn receive(
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
