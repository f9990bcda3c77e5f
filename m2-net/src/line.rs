//! Lines: sessions that pass relays (spec §7, `docs/spec/line.md`).
//!
//! A party has a session with a relay, and the packets of its sessions with other parties travel
//! in that session's DATAGRAM frames. For QUIC each such session with a relay is a socket whose
//! peers have made-up addresses.

pub mod address;
mod carrier;
mod carriers;
mod error;
mod path;
pub mod relay;
mod socket;

pub use address::is_on_line;
pub use carrier::{Carrier, Hop};
pub(crate) use carrier::{Occupied, extend};
pub(crate) use carriers::Carriers;
pub use error::LineError;
pub(crate) use socket::Sieve;

use crate::wire::line::Channel;
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes before each packet: its channel.
pub const HEADER_BYTES: usize = 4;

/// The smallest datagram that a session for lines must be able to carry: QUIC's packets are of
/// at least 1,200 bytes.
pub const MIN_DATAGRAM: usize = HEADER_BYTES + 1_200;

/// A buffer that begins with the header, with room for `length` more bytes.
fn framed(channel: Channel, length: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES + length);
    buffer.put_u32(channel.0);
    buffer
}

/// The channel of a datagram, and the packet in it.
fn parse(datagram: &Bytes) -> Option<(Channel, &[u8])> {
    let (header, packet) = datagram.split_first_chunk::<HEADER_BYTES>()?;
    Some((Channel(u32::from_be_bytes(*header)), packet))
}
