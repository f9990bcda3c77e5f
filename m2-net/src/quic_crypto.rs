//! M2's handshake as the crypto layer of quinn (docs/spec/handshake.md).
//!
//! A daemon has one [`CryptoContext`]. To dial, create a [`DialCrypto`] with one session key pair
//! and put it into a `quinn::ClientConfig`; the server name is the text of the dialled peer id. To
//! accept, put one keyless [`AnswerCrypto`] into the endpoint's `quinn::ServerConfig`, which does
//! everything before a session (Initial keys, Retry tags). For every `quinn::Incoming` to be
//! accepted, [`AnswerCrypto::reserve`] takes a session key and [`AnswerCrypto::accept_config`]
//! returns the configuration for `Incoming::accept_with`. If there is no key, the attempt must be
//! ignored: `start_session` could not reject it.
//!
//! Reading a Hello runs under the endpoint's lock, does public-key operations and generates an ML-KEM key. RSA private
//! operations run in the connection's driver, by means of [`OffLoad`]. Once a session is up,
//! `Connection::peer_identity` returns a [`m2_crypto::handshake::Peer`], and
//! `Connection::handshake_data` a [`Negotiated`].

mod answer;
mod dial;
mod exporter;
mod failure;
mod packet_keys;
mod session;

pub use answer::{AnswerCrypto, SessionKeys};
pub use dial::DialCrypto;
pub(crate) use exporter::SharedExporter;
pub use failure::{HandshakeFailure, code};
pub(crate) use session::Attachments;
pub use session::{Answered, Negotiated, Outcome, Unused};

use crate::suites::LeastSuites;
use m2_crypto::handshake::{Established, HandshakeError};
use m2_crypto::initial::{InitialKeys, day_from_dcid};
use m2_crypto::{CircleId, PeerId, Provider};
use quinn_proto::crypto::Keys;
use quinn_proto::{ConnectionId, Side};
use std::fmt;
use std::sync::Arc;

/// Returns today's UTC day, in days since 1970-01-01.
pub type Today = Arc<dyn Fn() -> u32 + Send + Sync>;

/// A callback for every handshake that failed on this side, for counters.
pub type FailureObserver = Arc<dyn Fn(&HandshakeError) + Send + Sync>;

/// How RSA private operations are kept from stalling other sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffLoad {
    /// By `block_in_place` in a multi-thread runtime, inline elsewhere.
    InPlace,
    /// Always inline: for tests of quinn-proto without a runtime.
    Inline,
}

impl OffLoad {
    fn run<T>(self, work: impl FnOnce() -> T) -> T {
        match self {
            Self::InPlace if in_multi_thread_runtime() => tokio::task::block_in_place(work),
            Self::InPlace | Self::Inline => work(),
        }
    }
}

fn in_multi_thread_runtime() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// The state shared by all sessions of a daemon.
#[derive(Clone)]
pub struct CryptoContext {
    circle: CircleId,
    provider: &'static dyn Provider,
    today: Today,
    off_load: OffLoad,
    observer: Option<FailureObserver>,
    suites: Arc<LeastSuites>,
}

impl CryptoContext {
    /// Creates a context for one circle. `today` is called once or twice per connection.
    pub fn new(circle: CircleId, provider: &'static dyn Provider, today: Today) -> Self {
        Self {
            circle,
            provider,
            today,
            off_load: OffLoad::InPlace,
            observer: None,
            suites: Arc::default(),
        }
    }

    /// Sets how RSA private operations run; the default is [`OffLoad::InPlace`].
    #[must_use]
    pub const fn off_load(mut self, off_load: OffLoad) -> Self {
        self.off_load = off_load;
        self
    }

    /// Calls `observer` with the reason of every handshake that fails on this side.
    #[must_use]
    pub fn observe_failures(mut self, observer: FailureObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets the least suites of peers; by default, there are none.
    #[must_use]
    pub fn suites(mut self, suites: Arc<LeastSuites>) -> Self {
        self.suites = suites;
        self
    }

    /// Checks that a peer used no lower suite than in earlier sessions.
    fn check_suite(&self, established: &Established) -> Result<(), HandshakeError> {
        let peer = established.peer.id();
        match peer.is_none_or(|peer| self.suites.admits(peer, established.suite)) {
            true => Ok(()),
            false => Err(HandshakeError::NoCommonSuite),
        }
    }

    /// Returns the day stamped into a connection id, if it is today or an adjacent day.
    fn day_of(&self, dcid: &ConnectionId) -> Option<u32> {
        day_from_dcid(dcid, (self.today)())
    }

    fn initial_keys(&self, dcid: &ConnectionId, responder: &PeerId, day: u32, side: Side) -> Keys {
        let keys = InitialKeys::derive(&self.circle, dcid, responder, day, self.provider);
        match side {
            Side::Client => packet_keys::space(keys.client, keys.server),
            Side::Server => packet_keys::space(keys.server, keys.client),
        }
    }
}

impl fmt::Debug for CryptoContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CryptoContext")
            .field("provider", &self.provider)
            .field("off_load", &self.off_load)
            .finish_non_exhaustive()
    }
}
