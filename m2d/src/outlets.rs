//! Performs the effects of the engine at the tasks that they are for.

use crate::access::Access;
use crate::dialling::DialerHandle;
use crate::driver::{Bus, LookupWake, Perform};
use crate::mailbox::Wake;
use crate::network::{Link, Links};
use crate::punching::{HolePuncherHandle, PunchRequest};
use m2_core::sessions::SessionId;
use m2_crypto::PeerId;
use m2_engine::{Effect, LiveEvent, WantedLines};
use m2_net::callers::Callers;
use m2_net::suites::LeastSuites;
use m2_store::LookupSecrets;
use std::sync::Arc;
use tokio::sync::watch;

/// Tells tasks what to bring about, or wakes them to ask the engine.
#[derive(Debug, Clone)]
pub struct Wakes {
    /// The tasks of mailboxes.
    pub mail: Arc<Wake>,
    /// The task that keeps sessions with relays; `None` until the engine has said what is wanted.
    pub lines: Arc<watch::Sender<Option<WantedLines>>>,
    /// The look-up tasks.
    pub lookup: Arc<LookupWake>,
}

/// The tasks and tables at which effects are performed.
pub struct Outlets {
    /// This daemon's peer id.
    pub own_id: PeerId,
    /// The connections of established sessions.
    pub links: Arc<Links>,
    /// Announces committed changes to streams.
    pub bus: Arc<Bus>,
    /// The task that dials peers.
    pub dialer: DialerHandle,
    /// The task that looks for direct paths.
    pub hole_puncher: HolePuncherHandle,
    /// The endpoint's list of contacts, whose dials are accepted before those of strangers.
    pub callers: Arc<Callers>,
    /// The least suites of peers, for all endpoints.
    pub suites: Arc<LeastSuites>,
    /// The access tokens that are accepted.
    pub access: Arc<Access>,
    /// Tells and wakes tasks.
    pub wakes: Wakes,
    /// Events of the log that were not published yet.
    pub events: Vec<LiveEvent>,
}

impl Default for Wakes {
    fn default() -> Self {
        Self {
            mail: Arc::default(),
            lines: Arc::new(watch::Sender::new(None)),
            lookup: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Perform for Outlets {
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Answer(held) => held.deliver(),
            Effect::Send(id, frame) => self.on(id, |link| link.send(*frame)),
            Effect::Close(id, code) => self.on(id, |link| link.close(code)),
            Effect::Misdeed(id, reason) => self.on(id, |link| link.count_misdeed(reason)),
            Effect::Violation(id, reason) => self.on(id, |link| link.close_for_violation(reason)),
            Effect::Probe(id) => self.on(id, |link| link.probe_path()),
            Effect::AllowPunch(id, true) => self.on(id, |link| link.punch_state().allow()),
            Effect::AllowPunch(id, false) => self.on(id, |link| link.punch_state().forbid()),
            Effect::Seek(id) => self.punch(id, PunchRequest::Seek),
            Effect::Candidates(id, candidates) => {
                self.punch(id, |link| PunchRequest::Came(link, candidates));
            }
            Effect::Observed(contact, address) => {
                let seen = PunchRequest::Seen(contact, address);
                self.hole_puncher.tell(seen);
            }
            Effect::Dial(peer, order) => self.dialer.tell(peer, order),
            Effect::Prioritise(peer, secrets) => self.prioritise(peer, secrets),
            Effect::RequireSuite(peer, suite) => self.suites.require(peer, suite),
            Effect::AccessTokens(tokens) => self.access.tokens.replace(tokens),
            Effect::Event(event) => self.events.push(event),
            Effect::Notice(notice) => self.bus.notify(notice, &self.events),
            Effect::SharedChanged => self.bus.shared_changed(),
            Effect::ForgetContent => self.bus.forget_content(),
            Effect::Boxes(boxes) => self.wakes.mail.set_boxes(boxes),
            Effect::WakeDepositor => self.wakes.mail.letters.notify_one(),
            Effect::WakeLookup => {
                self.wakes.lookup.send_replace(());
            }
            Effect::Lines(wanted) => {
                self.wakes.lines.send_replace(Some(wanted));
                // The set of allowed callers determines which presence records are published.
                self.wakes.lookup.send_replace(());
            }
        }
    }

    fn publish(&mut self) {
        if !self.events.is_empty() {
            self.bus.publish(std::mem::take(&mut self.events));
        }
    }
}

impl Outlets {
    /// Uses the connection of a session. A session that has ended needs nothing any more.
    fn on(&self, id: SessionId, perform: impl FnOnce(&Link)) {
        if let Some(link) = self.links.get(id) {
            perform(&link);
        }
    }

    fn punch(&self, id: SessionId, request: impl FnOnce(Arc<Link>) -> PunchRequest) {
        if let Some(link) = self.links.get(id) {
            self.hole_puncher.tell(request(link));
        }
    }

    fn prioritise(&self, peer: PeerId, secrets: Option<LookupSecrets>) {
        match secrets {
            Some(secrets) => {
                let (ours, theirs) = (secrets.ours, secrets.theirs);
                self.callers.know(&self.own_id, peer, ours, theirs);
            }
            None => self.callers.forget(&peer),
        }
    }
}
