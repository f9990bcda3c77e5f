//! The engine's totals, for status output.

use crate::backups::{self, BackupTimes};
use crate::refusal::Refusal;
use crate::state::State;
use crate::time::{self, ClockView};
use crate::warning::{Area, Warning};
use crate::{conflicts, mail_warnings, privacy_facts, problem, retention, shared};
use m2_core::ContactState;

/// Totals that name no contact.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Established sessions.
    pub sessions: u32,
    /// Contacts, without requests and blocked peers.
    pub contacts: u32,
    /// The local clock.
    pub clock: ClockView,
    /// When backups were reported.
    pub backup: BackupTimes,
    /// Warnings for the user.
    pub warnings: Vec<Warning>,
}

/// Returns the current totals.
pub(crate) fn summary(engine: &State) -> Result<Summary, Refusal> {
    let known: usize = engine
        .peers
        .values()
        .map(|peer_state| peer_state.links.len())
        .sum();
    let sessions = known.saturating_add(engine.sessions.strangers.count());
    let contacts = engine.peers.count(ContactState::Contact);
    Ok(Summary {
        sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        contacts: u32::try_from(contacts).unwrap_or(u32::MAX),
        clock: time::clock_view(engine),
        backup: backups::times(engine)?,
        warnings: warnings(engine)?,
    })
}

fn warnings(engine: &State) -> Result<Vec<Warning>, Refusal> {
    let mut warnings: Vec<Warning> = time::clock_warning(engine).into_iter().collect();
    let forgotten = problem::forgotten_warning(engine);
    warnings.extend(forgotten.map(|it| Warning::new(Area::Peers, it).mended_by("m2 contact list")));
    let conflict = conflicts::conflict_warning(engine)?;
    warnings.extend(conflict.map(|text| Warning::problem(Area::Store, text)));
    warnings.extend(privacy_facts::line_warnings(engine)?);
    let quota = retention::quota_warning(engine)?;
    let raise = "[store] contact_bytes";
    warnings.extend(quota.map(|text| Warning::problem(Area::Store, text).mended_by(raise)));
    let dead = shared::dead_letter_warning(engine)?;
    let list = "m2 client list";
    warnings.extend(dead.map(|text| Warning::new(Area::Events, text).mended_by(list)));
    warnings.extend(mail_warnings::warnings(engine)?);
    warnings.extend(backups::warning(engine)?);
    Ok(warnings)
}
