//! Dials another relay for a party (`docs/spec/line.md#passing-on-to-another-relay`). Every failure
//! gives the same answer after the same time, so that a party can't use this relay as a scanner or
//! a proxy.

use super::Relay;
use crate::locks::lock;
use m2_crypto::address::{NamedAddress, Surroundings, Use};
use m2_crypto::handshake::Credential;
use m2_discovery::{interfaces, networks};
use m2_net::endpoint::Endpoint;
use m2_net::line::path;
use m2_net::session::Session;
use m2_net::wire::Purpose;
use m2_net::wire::line::{Extend, MAX_HOPS};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// The timeout of the single attempt. An address that does not answer receives at most two packets
/// in this time: the first packet, sent once, and the one that ends the attempt.
const DIAL_LIMIT: Duration = Duration::from_millis(2_800);
/// The time after the request at which a party learns of a failure.
const FAILED_AFTER: Duration = Duration::from_secs(3);

/// The outcome of an extension.
pub(super) enum Extension {
    /// A session with the other relay.
    Reached(Box<Session>),
    /// The attempt failed. The reason is not revealed.
    Failed,
}

impl Relay {
    /// Dials another relay. Failures are reported only after a fixed time.
    pub(super) async fn extend(&self, extend: &Extend) -> Extension {
        let begun = Instant::now();
        if let Some(session) = self.call(extend).await {
            return Extension::Reached(Box::new(session));
        }
        sleep_until(begun + FAILED_AFTER).await;
        Extension::Failed
    }

    async fn call(&self, extend: &Extend) -> Option<Session> {
        let endpoint = self.endpoint.upgrade()?;
        // This relay and the next one count as hops too.
        let is_near = extend.hops + 2 <= MAX_HOPS;
        if !self.limits.extend || !is_near {
            return None;
        }
        let wanted = if self.limits.extend_to_private {
            Use::Anywhere
        } else {
            Use::Service
        };
        let address = extend.address.admit(&here(&endpoint), wanted)?;
        if !lock(&self.targets).allow(address.ip(), self.now_ms()) {
            return None;
        }
        let dialled = endpoint.dial_for(
            address,
            extend.relay,
            Credential::Anonymous,
            Purpose::Line,
            DIAL_LIMIT,
        );
        // The timeout includes the wait for a session key: the party must not observe it.
        let session = timeout(DIAL_LIMIT, dialled).await.ok()?.ok()?;
        // A peer that accepts no datagrams is not a relay, even with the right peer id.
        path::takes_datagrams(session.connection()).then_some(session)
    }
}

/// Returns the addresses and networks of this host: a relay does not dial itself or the broadcast
/// addresses of its networks.
fn here(endpoint: &Endpoint) -> Surroundings {
    let own = endpoint.addresses_on(&interfaces::usable(true)).into_iter();
    Surroundings {
        loopback_only: false,
        networks: networks::of_this_host(),
        own: own.map(NamedAddress::new).collect(),
    }
}
