//! The stored facts that determine what an observer can see of this daemon.

use crate::refusal::Refusal;
use crate::state::State;
use crate::warning::{Area, Warning};
use crate::{lines, mail};
use m2_core::{ContactState, IpMode};
use m2_store::ContactRowId;

/// Counts that, with the configuration, determine what an observer can see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrivacyFacts {
    /// Entry relays of this daemon.
    pub entries: usize,
    /// Relays of this daemon at which contacts may dial it.
    pub relays: usize,
    /// Boxes of this daemon at mailbox providers.
    pub boxes: usize,
    /// Contacts for which letters may be deposited.
    pub writes_letters: usize,
    /// Contacts whose own policy prefers lines and is stricter than the profile.
    pub prefer_line: usize,
    /// Contacts whose own policy allows lines only and is stricter than the profile.
    pub line_only: usize,
}

/// Returns the counts that determine what an observer can see.
pub(crate) fn privacy_facts(engine: &mut State) -> Result<PrivacyFacts, Refusal> {
    let lines = engine.batch.store.lines()?;
    let entries = lines.iter().filter(|line| line.entry).count();
    let contacts: Vec<ContactRowId> = engine.peers.contacts_in(ContactState::Contact).collect();
    let of_mode = |mode| {
        let is_stricter = |row: &&ContactRowId| {
            mode > lines::profile_mode(engine) && lines::ip_mode(engine, **row) == mode
        };
        contacts.iter().filter(is_stricter).count()
    };
    Ok(PrivacyFacts {
        entries,
        relays: lines.len() - entries,
        boxes: engine.batch.store.mailboxes()?.len(),
        writes_letters: contacts
            .iter()
            .filter(|row| mail::may_deposit(engine, **row))
            .count(),
        prefer_line: of_mode(IpMode::PreferLine),
        line_only: of_mode(IpMode::LineOnly),
    })
}

/// Returns warnings for the user about settings under which lines or mailboxes cannot work.
pub(crate) fn line_warnings(engine: &State) -> Result<Vec<Warning>, Refusal> {
    let mut warnings = Vec::new();
    if lines::profile_mode(engine) != IpMode::LineOnly {
        return Ok(warnings);
    }
    if engine.batch.store.lines()?.is_empty() {
        let text = "Nothing is sent: [privacy] ip is \"line-only\" and there is no relay. Add one \
                    with `m2 line add INVITE`.";
        warnings.push(Warning::problem(Area::Relays, text).mended_by("m2 line add INVITE"));
    }
    if !engine.batch.store.mailboxes()?.is_empty() {
        let text = "Mailboxes are not used: [privacy] ip is \"line-only\", and providers would learn \
                    this computer's address.";
        warnings.push(Warning::new(Area::Relays, text).mended_by("[privacy] ip"));
    }
    Ok(warnings)
}
