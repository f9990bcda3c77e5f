//! The caller of one request.

use super::registry::Grant;
use super::uses::Use;
use super::{Access, Peer};
use m2_core::access::Call;
use m2_crypto::PeerId;
use m2_engine::Refusal;
use m2_proto::reason::Reason;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tonic::{Request, Status};

/// The caller of a request that was admitted.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    peer: Peer,
    call: &'static Call,
    grant: Option<Grant>,
    access: Arc<Access>,
    /// Whether the call was recorded together with its contact.
    is_recorded: AtomicBool,
}

impl Caller {
    pub(super) fn new(
        peer: &Peer,
        call: &'static Call,
        grant: Option<Grant>,
        access: Arc<Access>,
    ) -> Self {
        Self(Arc::new(Inner {
            peer: peer.clone(),
            call,
            grant,
            access,
            is_recorded: AtomicBool::new(false),
        }))
    }

    /// Returns the caller of a request.
    ///
    /// Errors: NOT_ALLOWED if the request did not pass access control.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Reason::NotAllowed.status())
    }

    /// Returns what the caller's token permits; `None` for the owner.
    pub fn grant(&self) -> Option<&Grant> {
        self.0.grant.as_ref()
    }

    /// Returns whether the caller's token reaches only some contacts.
    pub fn is_limited(&self) -> bool {
        self.grant().is_some_and(Grant::is_limited)
    }

    /// Returns the name of the caller's token; empty for the owner.
    pub fn token(&self) -> &str {
        self.grant().map_or("", Grant::name)
    }

    /// Returns whose idempotency keys the caller uses.
    pub fn key_owner(&self) -> String {
        match self.grant() {
            Some(grant) => format!("token:{}", grant.name()),
            None => self.0.peer.label(),
        }
    }

    /// Returns the contacts that the caller reaches; `None` for all.
    pub fn contacts(&self) -> Option<Vec<PeerId>> {
        self.grant().and_then(Grant::contacts)
    }

    /// Returns whether the caller reaches a contact.
    pub fn reaches(&self, peer: &PeerId) -> bool {
        self.grant().is_none_or(|grant| grant.reaches(peer))
    }

    /// Checks that the caller's token is still valid and reaches the contact, and records the call.
    /// `None`: there is no such contact.
    ///
    /// Errors: TOKEN_INVALID; NOT_ALLOWED, also for a contact that a limited token could learn of.
    pub fn check_contact(&self, peer: Option<&PeerId>) -> Result<(), Refusal> {
        let Some(grant) = self.grant() else {
            return Ok(());
        };
        self.check_valid()?;
        let permitted = !self.is_limited() || peer.is_some_and(|peer| grant.reaches(peer));
        self.record(peer.copied(), permitted);
        if permitted { Ok(()) } else { Err(unreached()) }
    }

    /// Checks that the caller's token has neither expired nor been revoked since the call began.
    ///
    /// Errors: TOKEN_INVALID.
    pub fn check_valid(&self) -> Result<(), Refusal> {
        match self.grant() {
            Some(grant) if !grant.is_valid() => Err(Refusal::new(Reason::TokenInvalid)),
            _ => Ok(()),
        }
    }

    /// Records the call, unless it was recorded with a contact.
    pub(super) fn record_once(&self) {
        if !self.0.is_recorded.load(Ordering::Relaxed) {
            self.record(None, true);
        }
    }

    fn record(&self, contact: Option<PeerId>, permitted: bool) {
        let Some(grant) = self.grant() else {
            return;
        };
        self.0.is_recorded.store(true, Ordering::Relaxed);
        self.0.access.uses.add(Use {
            token: grant.name(),
            call: self.0.call.name,
            contact,
            permitted,
            now_ms: grant.now_ms(),
        });
    }
}

fn unreached() -> Refusal {
    Refusal::because(
        Reason::NotAllowed,
        "Not allowed: the access token reaches no contact of this name. `m2 token list` shows the \
         contacts of each token; a token for other contacts is made with `m2 token create`.",
    )
}
