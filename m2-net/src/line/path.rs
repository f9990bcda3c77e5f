//! Whether the packets of other sessions fit through the path of a session with a relay.
//!
//! QUIC finds out how much a path carries by probes (RFC 8899): after the handshake within a round
//! trip, and again after losses that look as if the path had become smaller.

use super::MIN_DATAGRAM;
use crate::transport;
use bytes::Bytes;
use quinn::{Connection, SendDatagramError};
use std::time::Duration;
use tokio::time::{interval, sleep};

/// How often it is looked whether whole packets fit.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// Looks in a row at which they did not: then the path is too small for a party. The probes of a
/// path that hardly carries them have taken less.
pub(super) const PARTY_LOOKS: u32 = 4;
/// The same for a relay: a party that finds it out by itself can say why.
pub(super) const RELAY_LOOKS: u32 = 6;
/// The longest pause of who waits for a path to be known.
const WAIT: Duration = Duration::from_millis(100);

/// Whether the other side takes datagrams at all.
pub(super) fn takes_datagrams(connection: &Connection) -> bool {
    connection.max_datagram_size().is_some()
}

/// Waits until whole packets fit. It may never be.
pub(super) async fn known_to_fit(connection: &Connection) {
    let mut pause = Duration::from_millis(1);
    while !fits(connection) {
        sleep(pause).await;
        pause = (pause * 2).min(WAIT);
    }
}

/// Waits until whole packets did not fit at so many looks in a row.
pub(super) async fn too_small(connection: &Connection, looks: u32) {
    let mut interval = interval(LOOK);
    let mut failed = 0;
    while failed < looks {
        interval.tick().await;
        failed = look(connection, failed);
    }
}

/// After so many looks at which whole packets did not fit: at how many now.
pub(super) fn look(connection: &Connection, failed: u32) -> u32 {
    if fits(connection) {
        return 0;
    }
    transport::wake(connection);
    failed.saturating_add(1)
}

/// Sends a packet, with its header, as a datagram. What does not fit is lost, and the path is
/// probed: QUIC may have taken losses for a smaller path.
///
/// Errors: as those of [`Connection::send_datagram`].
pub(super) fn send(connection: &Connection, packet: Bytes) -> Result<(), SendDatagramError> {
    let sent = connection.send_datagram(packet);
    if matches!(sent, Err(SendDatagramError::TooLarge)) {
        transport::wake(connection);
    }
    sent
}

/// As [`send`], as soon as there is room.
pub(super) async fn send_wait(
    connection: &Connection,
    packet: Bytes,
) -> Result<(), SendDatagramError> {
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
