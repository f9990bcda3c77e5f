//! How an IP address with a port is encoded, wherever there is one (docs/spec/identity.md).

use crate::reader::Reader;
use std::net::{IpAddr, SocketAddr};

/// Bytes of the longest encoding.
pub(crate) const MAX_BYTES: usize = 1 + 16 + 2;

const KIND_V4: u8 = 4;
const KIND_V6: u8 = 6;

/// Reads one address. Its port may be 0: that is for the caller to judge.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let ip: IpAddr = match reader.u8()? {
        KIND_V4 => reader.array::<4>()?.into(),
        KIND_V6 => reader.array::<16>()?.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, reader.u16()?))
}

/// Writes one address. Scope and flow of an IPv6 address are left out.
pub(crate) fn write(out: &mut Vec<u8>, address: &SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(KIND_V4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(KIND_V6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}
