//! What the peer's statement says about the own side: whether it fits what the own store knows.

use super::context::Context;
use super::output::{Conflict, SavedPlace};
use crate::wire::Places;
use m2_crypto::envelope::{EpochHeader, Grant, GrantKind, grant_hash};

/// What a statement of the peer means for the own side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It fits.
    Fits,
    /// The peer claims a place or an epoch that the own store has not come to. It proves nothing:
    /// a peer can say so at any time.
    Ahead,
    /// The peer shows what only the own identity can have signed and the own store does not know.
    Proven(Conflict),
}

/// Judges a statement by the own store, in which the next message gets the place `next`.
pub(super) fn judge(cx: &Context<'_>, own: &SavedPlace, next: u64, stated: &Places) -> Verdict {
    if let Some(conflict) = proof(cx, own, stated) {
        return Verdict::Proven(conflict);
    }
    let ahead = stated.expected > next || stated.following_epoch > own.epoch;
    if own.incarnation != 0 && stated.following == own.incarnation && ahead {
        Verdict::Ahead
    } else {
        Verdict::Fits
    }
}

/// What the grant proves that the peer shows. A signature is checked only when the grant would be
/// news.
fn proof(cx: &Context<'_>, own: &SavedPlace, stated: &Places) -> Option<Conflict> {
    let grant = Grant::parse(&stated.newest_grant).ok()?;
    // A letter's grant numbers no epoch.
    if grant.kind() != GrantKind::Session {
        return None;
    }
    let header = grant.header();
    if header.sender != cx.own_id || header.receiver != cx.peer_id {
        return None;
    }
    let conflict = if header.incarnation == own.incarnation {
        is_unknown(own, header, &stated.newest_grant).then_some(Conflict::OwnOlder)
    } else {
        (header.created_s > own.begun.seconds()).then_some(Conflict::OwnTwice)
    };
    let conflict = conflict?;
    let signed = grant.check_signature(cx.own.certificate()).is_ok();
    signed.then_some(conflict)
}

fn is_unknown(own: &SavedPlace, header: &EpochHeader, grant: &[u8]) -> bool {
    let is_other = own.grant_hash != [0; 32] && own.grant_hash != grant_hash(grant);
    header.epoch > own.epoch || (header.epoch == own.epoch && is_other)
}
