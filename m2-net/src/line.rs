//! Lines: sessions over relays (`docs/spec/line.md`).
//!
//! A party has a session with a relay, and the packets of its sessions with other parties travel in
//! that session's DATAGRAM frames. To QUIC, each session with a relay is a socket whose peers have
//! synthetic addresses.

mod carrier;
mod carriers;
mod error;
pub mod path;
mod socket;

pub use crate::line_address::is_on_line;
pub(crate) use carrier::extend;
pub use carrier::{Carrier, Hop};
pub(crate) use carriers::Carriers;
pub use error::LineError;

use crate::wire::line::Channel;
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes before each packet: the number of its channel.
pub const HEADER_BYTES: usize = 4;

/// The smallest datagram that a session with a relay must be able to carry: QUIC needs packets of
/// at least 1,200 bytes.
pub const MIN_DATAGRAM: usize = HEADER_BYTES + 1_200;

/// Returns a buffer that begins with the header, with room for `length` more bytes.
pub(crate) fn framed(channel: Channel, length: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES + length);
    buffer.put_u32(channel.0);
    buffer
}

/// Splits a datagram into its channel and the packet.
pub fn parse(datagram: &Bytes) -> Option<(Channel, &[u8])> {
    let (header, packet) = datagram.split_first_chunk::<HEADER_BYTES>()?;
    Some((Channel(u32::from_be_bytes(*header)), packet))
}
