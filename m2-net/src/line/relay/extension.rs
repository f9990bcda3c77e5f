//! Calling another relay for a party. Who asks can't make us a scanner or a proxy: the answer to
//! whatever fails is the same and comes after the same time.

use super::{Relay, lock};
use crate::endpoint::Endpoint;
use crate::line::path;
use crate::lookup::networks;
use crate::session::Session;
use crate::wire::Purpose;
use crate::wire::line::{Extend, MAX_HOPS};
use m2_crypto::address::{NamedAddress, Surroundings, Use};
use m2_crypto::handshake::Credential;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// How long the one call may take. To who does not answer, its first packet is sent once in this
/// time, and one more that ends it.
const CALL_LIMIT: Duration = Duration::from_millis(2_800);
/// After what time a party hears that it came to nothing.
const FAILED_AFTER: Duration = Duration::from_secs(3);

/// What became of it.
pub(super) enum Extension {
    /// A session with the other relay.
    Reached(Box<Session>),
    /// Nothing more is said.
    Failed,
}

impl Relay {
    /// Calls another relay.
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
        // This relay and the next one count as well.
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
            CALL_LIMIT,
        );
        // The wait for a session key counts too: who asks must not see it.
        let session = timeout(CALL_LIMIT, dialled).await.ok()?.ok()?;
        // What takes no datagrams is no relay, though it has the right peer id.
        path::takes_datagrams(session.connection()).then_some(session)
    }
}

/// A relay dials neither itself nor the broadcast addresses of its networks.
fn here(endpoint: &Endpoint) -> Surroundings {
    let own = endpoint.own_addresses().into_iter();
    Surroundings {
        loopback_only: false,
        networks: networks::of_this_host(),
        own: own.map(NamedAddress::new).collect(),
    }
}
