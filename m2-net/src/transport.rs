//! The QUIC configuration: no TLS, no byte sent to strangers, and good bulk throughput.

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

/// The idle timeout: a session ends after this time without a packet from the peer.
const IDLE: Duration = Duration::from_secs(25);
/// The keep-alive interval of an idle session. The idle timeout leaves room for one lost
/// keep-alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The number of streams that a peer may have open initially: the frame stream.
const STREAMS: u32 = 1;
/// The initial receive window of a session, which any caller gets.
const WINDOW: u32 = 256 << 10;

/// The precision of MTU discovery where packets of 1,200 bytes travel in datagrams: an IPv4 path
/// that carries 1,280 bytes, as tunnels do, has 2 to spare.
const LINE_MTU_STEP: u16 = 1;
/// The size of the datagram buffers in each direction. Datagrams in a larger queue would be stale.
const DATAGRAM_BYTES: usize = 256 << 10;

/// The initial round-trip time estimate of one relay for another. Nothing is retransmitted for
/// three times this value, which is longer than the timeout of such a dial.
const UNANSWERED_RTT: Duration = Duration::from_secs(1);

/// The limits that apply once this side accepts bulk streams.
const BULK_STREAMS: u32 = 8;
const BULK_STREAM_WINDOW: u32 = 8 << 20;
const BULK_WINDOW: u32 = 16 << 20;

/// The number of connection attempts that wait for a decision, and the bytes buffered for each and
/// for all of them.
const MAX_INCOMING: usize = 512;
const INCOMING_BYTES: u64 = 64 << 10;
const ALL_INCOMING_BYTES: u64 = 8 << 20;

/// The longest reset interval that can't overflow an addition to the clock.
const NO_RESETS: Duration = Duration::from_secs(365 * 86_400);

/// Returns the transport settings of a session.
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

/// Returns the settings of sessions with relays, on both sides: those of [`session`], with
/// datagrams large enough for the packets of other sessions once the path is known to carry them.
pub(crate) fn line(pad_to_mtu: bool) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    // Losses that QUIC takes for a smaller path may be congestion: it probes again at once.
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

/// Returns the settings of a relay's dials to another relay on behalf of a party: those of
/// [`line()`], but nothing is retransmitted before the other relay has answered. The first packet
/// and the one that gives the attempt up are then the only two.
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
    /// Returns the settings for a relay, or for any other endpoint.
    pub(crate) fn new(relay: bool, pad_to_mtu: bool) -> Self {
        let peers = Arc::new(session(pad_to_mtu));
        if relay {
            return Self {
                peers,
                // A relay dials other relays, and only on behalf of parties.
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

    /// Returns the settings of a dial.
    pub(crate) fn calling(&self, purpose: Purpose) -> Arc<TransportConfig> {
        Arc::clone(match purpose {
            Purpose::Line => &self.lines,
            Purpose::Peer | Purpose::Mailbox => &self.peers,
        })
    }

    /// Returns the settings of an incoming session, whose purpose is not known yet.
    pub(crate) fn answering(&self) -> Arc<TransportConfig> {
        Arc::clone(&self.answering)
    }
}

/// Lets a session's peer open bulk streams and use them at full speed.
pub(crate) fn allow_bulk(connection: &quinn::Connection) {
    connection.set_max_concurrent_uni_streams(BULK_STREAMS.into());
    connection.set_receive_window(BULK_WINDOW.into());
}

/// Makes QUIC do what is due, such as probing the path. Otherwise that happens only when something
/// is sent.
pub(crate) fn wake(connection: &quinn::Connection) {
    // The value is unchanged; the call makes quinn drive the connection.
    connection.set_send_window(BULK_WINDOW.into());
}

/// Returns the settings of a socket's QUIC engine.
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

/// Returns the server configuration.
pub(crate) fn answering(
    crypto: Arc<dyn crypto::ServerConfig>,
    token_key: TokenKey,
    transport: Arc<TransportConfig>,
    clock: Clock,
) -> ServerConfig {
    // QUIC would issue tokens to every peer. The tokens that identify contacts are created
    // elsewhere.
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

/// Dates tokens by the same clock that checks their age.
impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.unix_ms())
    }
}
