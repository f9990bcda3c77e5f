//! Judges the local side's part of the peer's statement: whether it is consistent with the local
//! store.

use super::context::Context;
use super::output::{Conflict, SavedPlace};
use crate::places::Places;
use m2_crypto::envelope::{EpochHeader, Grant, grant_hash};

/// The meaning of the peer's statement for the local side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The statement is consistent with the local store.
    Fits,
    /// The peer claims a place or an epoch beyond those in the local store. This proves nothing: a
    /// peer can make that claim at any time.
    Ahead,
    /// The peer shows a grant that only the local identity can have signed and that the local store
    /// does not know.
    Proven(Conflict),
}

/// Judges a statement against the local store, in which the next message gets the place `next`.
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

/// Returns the conflict that the grant shown by the peer proves, if any. The signature is verified
/// only if the grant would prove one.
fn proof(cx: &Context<'_>, own: &SavedPlace, stated: &Places) -> Option<Conflict> {
    let grant = Grant::parse(&stated.newest_grant).ok()?;
    let header = grant.header();
    if header.sender != cx.own_id || header.receiver != cx.peer_id {
        return None;
    }
    let conflict = if header.incarnation == own.incarnation {
        is_unknown(own, header, &stated.newest_grant).then_some(Conflict::OwnOlder)
    } else {
        (header.created_s >= own.begun.seconds()).then_some(Conflict::OwnTwice)
    };
    let conflict = conflict?;
    let signed = grant.check_signature(cx.own.certificate()).is_ok();
    signed.then_some(conflict)
}

fn is_unknown(own: &SavedPlace, header: &EpochHeader, grant: &[u8]) -> bool {
    let is_other = own.grant_hash != [0; 32] && own.grant_hash != grant_hash(grant);
    header.epoch > own.epoch || (header.epoch == own.epoch && is_other)
}
