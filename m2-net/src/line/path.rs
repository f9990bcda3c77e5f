//! Checks whether the path of a session with a relay can carry the packets of other sessions.
//!
//! QUIC probes for the size that a path carries (RFC 8899): within a round trip after the
//! handshake, and again after losses that suggest a smaller path.

use super::MIN_DATAGRAM;
use crate::transport;
use bytes::Bytes;
use quinn::{Connection, SendDatagramError};
use std::time::Duration;
use tokio::time::{interval, sleep};

/// The interval of the checks that whole packets fit.
pub const LOOK: Duration = Duration::from_secs(5);
/// The number of consecutive failed checks after which a party gives the path up as too small. On a
/// path that barely carries whole packets, probing has finished before that.
pub const PARTY_LOOKS: u32 = 4;
/// The same limit for a relay. It is higher, so that the party detects the problem first and can
/// report it.
pub const RELAY_LOOKS: u32 = 6;
/// The longest pause between two checks while waiting for the path's size.
const WAIT: Duration = Duration::from_millis(100);

/// Returns whether the peer accepts datagrams at all.
pub fn takes_datagrams(connection: &Connection) -> bool {
    connection.max_datagram_size().is_some()
}

/// Waits until whole packets fit. This may never happen.
pub async fn known_to_fit(connection: &Connection) {
    let mut pause = Duration::from_millis(1);
    while !fits(connection) {
        sleep(pause).await;
        pause = (pause * 2).min(WAIT);
    }
}

/// Waits until whole packets did not fit in `looks` consecutive checks.
pub async fn too_small(connection: &Connection, looks: u32) {
    let mut interval = interval(LOOK);
    let mut failed = 0;
    while failed < looks {
        interval.tick().await;
        failed = look(connection, failed);
    }
}

/// Checks the path after `failed` consecutive failed checks. Returns the new number of them.
pub fn look(connection: &Connection, failed: u32) -> u32 {
    if fits(connection) {
        return 0;
    }
    transport::wake(connection);
    failed.saturating_add(1)
}

/// Sends a packet, with its header, as a datagram. A packet that does not fit is lost, and the path
/// is probed: QUIC may have mistaken losses for a smaller path.
///
/// Errors: those of [`Connection::send_datagram`].
pub fn send(connection: &Connection, packet: Bytes) -> Result<(), SendDatagramError> {
    let sent = connection.send_datagram(packet);
    if matches!(sent, Err(SendDatagramError::TooLarge)) {
        transport::wake(connection);
    }
    sent
}

/// Like [`send`], but waits until the send buffer has room.
pub async fn send_wait(connection: &Connection, packet: Bytes) -> Result<(), SendDatagramError> {
    let sent = connection.send_datagram_wait(packet).await;
    if matches!(sent, Err(SendDatagramError::TooLarge)) {
        transport::wake(connection);
    }
    sent
}

fn fits(connection: &Connection) -> bool {
    let size = connection.max_datagram_size();
    size.is_some_and(|size| size >= MIN_DATAGRAM)
}
