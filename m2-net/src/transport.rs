//! How QUIC is set up: without TLS, without a byte for strangers, for good bulk throughput.

use crate::clock::Clock;
use crate::connection_id::ConnectionIds;
use crate::reset_key::ResetKey;
use crate::retry_token::{LIFETIME_IN_QUIC, TokenKey};
use crate::wire::Purpose;
use m2_crypto::initial::QUIC_VERSION;
use quinn::crypto;
use quinn::{
    MtuDiscoveryConfig, ServerConfig, TimeSource, TransportConfig, ValidationTokenConfig, VarInt,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A peer that was not heard for so long is gone.
const IDLE: Duration = Duration::from_secs(25);
/// How often an idle session shows that it lives: one such packet may be lost.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Streams that a peer may have open at first: the frame stream.
const STREAMS: u32 = 1;
/// What a peer may send that we have not taken in yet, at first: whoever calls has it.
const WINDOW: u32 = 256 << 10;

/// How exactly the MTU of a path is found where packets of 1,200 bytes travel in datagrams: a path
/// that carries 1,280 bytes of IPv4, as tunnels do, has 2 to spare.
const LINE_MTU_STEP: u16 = 1;
/// Datagrams that wait, in either direction. More would only be old.
const DATAGRAM_BYTES: usize = 256 << 10;

/// The first guess at a relay's round trip time for another relay. Three times as long nothing is
/// sent again: longer than such a call may take.
const UNANSWERED_RTT: Duration = Duration::from_secs(1);

/// The same once we said that we take in bulk streams.
const BULK_STREAMS: u32 = 8;
const BULK_STREAM_WINDOW: u32 = 8 << 20;
const BULK_WINDOW: u32 = 16 << 20;

/// Calls that wait for a decision, and what each and all of them may have buffered.
const MAX_INCOMING: usize = 512;
const INCOMING_BYTES: u64 = 64 << 10;
const ALL_INCOMING_BYTES: u64 = 8 << 20;

/// The largest hold-down that can't overflow an addition to the clock.
const NO_RESETS: Duration = Duration::from_secs(365 * 86_400);

/// The settings of every session.
pub(crate) fn session(pad_to_mtu: bool) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(STREAMS.into())
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .stream_receive_window(BULK_STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(BULK_WINDOW.into())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(VarInt::from_u32(IDLE.as_millis() as u32).into()))
        .datagram_receive_buffer_size(None)
        .allow_spin(false)
        .pad_to_mtu(pad_to_mtu);
    config
}

/// The settings of sessions with relays, on both sides: as [`session`], and packets of other
/// sessions fit into their datagrams once the path is known to carry them.
pub(crate) fn line(pad_to_mtu: bool) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    // What QUIC takes for a smaller path may have been congestion: it looks again at once.
    discovery
        .minimum_change(LINE_MTU_STEP)
        .black_hole_cooldown(Duration::ZERO);
    let mut config = session(pad_to_mtu);
    config
        .mtu_discovery_config(Some(discovery))
        .datagram_receive_buffer_size(Some(DATAGRAM_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BYTES);
    config
}

/// The settings of calls from one relay to another, for somebody else: as [`line`], but nothing is
/// sent twice before the other one has answered. A second packet would be two, and a last one
/// says that the call was given up.
pub(crate) fn extension(pad_to_mtu: bool) -> TransportConfig {
    let mut config = line(pad_to_mtu);
    config.initial_rtt(UNANSWERED_RTT);
    config
}

/// The settings of an endpoint's sessions.
pub(crate) struct Transports {
    peers: Arc<TransportConfig>,
    lines: Arc<TransportConfig>,
    answering: Arc<TransportConfig>,
}

impl Transports {
    /// Those of a relay, or of somebody else.
    pub(crate) fn new(relay: bool, pad_to_mtu: bool) -> Self {
        let peers = Arc::new(session(pad_to_mtu));
        if relay {
            return Self {
                peers,
                // Relays call other relays, and that for others alone.
                lines: Arc::new(extension(pad_to_mtu)),
                answering: Arc::new(line(pad_to_mtu)),
            };
        }
        Self {
            lines: Arc::new(line(pad_to_mtu)),
            answering: Arc::clone(&peers),
            peers,
        }
    }

    /// For a call.
    pub(crate) fn calling(&self, purpose: Purpose) -> Arc<TransportConfig> {
        Arc::clone(match purpose {
            Purpose::Line => &self.lines,
            Purpose::Peer | Purpose::Mailbox => &self.peers,
        })
    }

    /// For whoever calls: what it wants is not known yet.
    pub(crate) fn answering(&self) -> Arc<TransportConfig> {
        Arc::clone(&self.answering)
    }
}

/// Lets a session's peer open bulk streams and fill them at full speed.
pub(crate) fn allow_bulk(connection: &quinn::Connection) {
    connection.set_max_concurrent_uni_streams(BULK_STREAMS.into());
    connection.set_receive_window(BULK_WINDOW.into());
}

/// Lets QUIC do what is due, such as to probe the path. Nothing else does when nothing is sent.
pub(crate) fn wake(connection: &quinn::Connection) {
    // As it was set: what counts is that quinn looks.
    connection.set_send_window(BULK_WINDOW.into());
}

/// The settings of a socket's QUIC engine.
pub(crate) fn engine(ids: &ConnectionIds) -> quinn::EndpointConfig {
    let mut config = quinn::EndpointConfig::new(Arc::new(ResetKey::random()));
    let ids = ids.clone();
    config
        .supported_versions(vec![QUIC_VERSION])
        .cid_generator(move || Box::new(ids.clone()))
        .grease_quic_bit(false)
        .min_reset_interval(NO_RESETS);
    config
}

/// The settings of the answering side.
pub(crate) fn answering(
    crypto: Arc<dyn crypto::ServerConfig>,
    token_key: TokenKey,
    transport: Arc<TransportConfig>,
    clock: Clock,
) -> ServerConfig {
    // QUIC would give tokens to every peer; a token that says who calls is made elsewhere.
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0);
    let mut config = ServerConfig::new(crypto, Arc::new(token_key));
    config
        .transport_config(transport)
        .validation_token_config(tokens)
        .retry_token_lifetime(LIFETIME_IN_QUIC)
        .time_source(Arc::new(clock))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(ALL_INCOMING_BYTES);
    config
}

/// Tokens are dated by the same clock that judges them.
impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.unix_ms())
    }
}
