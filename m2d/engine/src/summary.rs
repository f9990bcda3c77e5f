//! The engine's totals, for status output.

use super::Engine;
use crate::refusal::Refusal;
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

impl Engine {
    /// Returns the current totals.
    pub(crate) fn summary(&self) -> Result<Summary, Refusal> {
        let known: usize = self
            .peers
            .values()
            .map(|peer_state| peer_state.links.len())
            .sum();
        let sessions = known.saturating_add(self.strangers.count());
        let contacts = self.count(ContactState::Contact);
        let mut warnings = self.clock_warnings();
        warnings.extend(self.forgotten_warning());
        warnings.extend(self.conflict_warning()?);
        warnings.extend(self.line_warnings()?);
        warnings.extend(self.quota_warning()?);
        Ok(Summary {
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            contacts: u32::try_from(contacts).unwrap_or(u32::MAX),
            warnings,
        })
    }
}
