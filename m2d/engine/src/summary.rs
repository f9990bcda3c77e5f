//! The engine's totals, for status output.

use crate::refusal::Refusal;
use crate::state::State;
use crate::{conflicts, privacy_facts, problem, retention, shared, time};
use m2_core::ContactState;

/// Totals that name no contact.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Established sessions.
    pub sessions: u32,
    /// Contacts, without requests and blocked peers.
    pub contacts: u32,
    /// Warnings for the user.
    pub warnings: Vec<String>,
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
    let mut warnings = time::clock_warnings(engine);
    warnings.extend(problem::forgotten_warning(engine));
    warnings.extend(conflicts::conflict_warning(engine)?);
    warnings.extend(privacy_facts::line_warnings(engine)?);
    warnings.extend(retention::quota_warning(engine)?);
    warnings.extend(shared::dead_letter_warning(engine)?);
    Ok(Summary {
        sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        contacts: u32::try_from(contacts).unwrap_or(u32::MAX),
        warnings,
    })
}
