//! Contacts as front-ends see them.

use crate::refusal::Refusal;
use crate::state::{PeerState, State, unknown};
use crate::{conflicts, problem, retention};
use m2_core::{ContactState, IpMode, KnownAddress, PathFailure};
use m2_crypto::PeerId;
use m2_delivery::Path;
use m2_store::{ContactRow, ContactRowId, MailboxPolicy};

/// A contact as front-ends see it.
#[derive(Debug, Clone)]
pub struct ContactView {
    /// The stored row.
    pub row: ContactRow,
    /// True if a session is up and its peer answers.
    pub online: bool,
    /// Known addresses, the latest first.
    pub addresses: Vec<KnownAddress>,
    /// Why the last attempt to reach the contact failed; `None` if it did not.
    pub last_failure: Option<PathFailure>,
    /// The known problem in one sentence, with what to do about it; empty without one.
    pub problem: String,
    /// The switches for letters, one for each direction.
    pub mailbox: MailboxPolicy,
    /// True if the contact offers a box.
    pub mailbox_offered: bool,
    /// The number of letters that can be deposited for the contact before the next session.
    pub mailbox_tokens: u32,
    /// Why the last deposit for the contact failed; `None` if it succeeded.
    pub mailbox_failure: Option<PathFailure>,
    /// The path of the current session, if one is up.
    pub path: Option<Path>,
    /// The mode of the contact's own policy; `None` if the profile's applies.
    pub ip: Option<IpMode>,
    /// Retention time of the contact's own policy, in seconds; `None` if the profile's applies.
    pub keep_s: Option<u64>,
    /// True if the contact reached its quota: no more messages are taken from it.
    pub is_over_quota: bool,
    /// The conflict found lately in the contact's store, as a number; 0 for none found.
    pub conflict: i64,
}

pub(crate) fn view(engine: &State, row: ContactRowId) -> Result<ContactView, Refusal> {
    let peer_state = engine.peers.get(&row).ok_or_else(unknown)?;
    Ok(ContactView {
        row: peer_state.contact.clone(),
        online: engine.is_online(row),
        addresses: engine.batch.store.addresses(row)?,
        last_failure: problem::failure_of(engine, row),
        problem: problem::problem(engine, row),
        mailbox: engine.mail.policy(row),
        mailbox_offered: engine.mail.offered.contains(&row),
        mailbox_tokens: engine.batch.store.unused_tokens(row)?,
        mailbox_failure: engine.mail.failures.get(&row).copied(),
        path: peer_state.link().map(|link| link.path),
        ip: peer_state.contact.ip,
        keep_s: engine.batch.store.keep_of(row)?,
        is_over_quota: retention::has_reached_quota(engine, row)?,
        conflict: conflicts::recent_conflict(engine, row)?,
    })
}

/// Returns one contact.
pub(crate) fn get(engine: &mut State, name: &str) -> Result<ContactView, Refusal> {
    let row = engine.peers.resolve(name)?;
    view(engine, row)
}

/// Returns the peer ids of several contacts.
pub(crate) fn peer_ids(engine: &State, names: &[String]) -> Result<Vec<PeerId>, Refusal> {
    let id = |name: &String| {
        let row = engine.peers.resolve(name)?;
        let peer_state = engine.peers.get(&row).ok_or_else(unknown)?;
        Ok(peer_state.contact.peer_id)
    };
    names.iter().map(id).collect()
}

/// Lists up to `limit` contacts sorted by name, starting after the name `after` and optionally
/// filtered by state. Removed contacts are omitted without a filter. Also returns whether there
/// are more.
pub(crate) fn list(
    engine: &State,
    state: Option<ContactState>,
    after: &str,
    limit: usize,
) -> Result<(Vec<ContactView>, bool), Refusal> {
    let wanted = |peer_state: &&PeerState| match state {
        Some(state) => peer_state.contact.state == state,
        None => peer_state.contact.state != ContactState::Removed,
    };
    let mut names: Vec<(&str, ContactRowId)> = engine
        .peers
        .values()
        .filter(wanted)
        .map(|peer_state| (peer_state.contact.name.as_str(), peer_state.contact.row))
        .filter(|(name, _)| *name > after)
        .collect();
    names.sort_unstable();
    let has_more = names.len() > limit;
    let page = names.into_iter().take(limit);
    let views = page.map(|(_, row)| view(engine, row));
    Ok((views.collect::<Result<_, _>>()?, has_more))
}
