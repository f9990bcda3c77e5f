//! The engine in a few numbers, for status output.

use super::Engine;
use crate::refusal::Refusal;
use crate::store::ContactState;

/// A clock that differs this much from a peer's is worth a word (spec §1), in milliseconds.
const SKEW_MS: u64 = 5 * 60_000;

/// Totals; nobody is named.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Sessions that are up.
    pub sessions: u32,
    /// Contacts, without requests and blocked peers.
    pub contacts: u32,
    /// Things that the user should know.
    pub warnings: Vec<String>,
}

impl Engine {
    /// The totals of now.
    pub fn summary(&self) -> Result<Summary, Refusal> {
        let known: usize = self.slots.values().map(|slot| slot.links.len()).sum();
        let sessions = known.saturating_add(self.strangers.len());
        let contacts = self.count(ContactState::Contact);
        let mut warnings = self.clock_warnings();
        warnings.extend(self.line_warnings()?);
        Ok(Summary {
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            contacts: u32::try_from(contacts).unwrap_or(u32::MAX),
            warnings,
        })
    }

    fn clock_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let skewed = self
            .slots
            .values()
            .flat_map(|slot| &slot.links)
            .filter(|link| link.clock_skew_ms().unsigned_abs() > SKEW_MS)
            .count();
        if skewed > 0 {
            warnings.push(format!(
                "The clocks of {skewed} peers differ from this one by more than 5 minutes: \
                 check that this computer's time is right."
            ));
        }
        if self.clock.lag_ms() > SKEW_MS {
            warnings.push(
                "This computer's clock is behind the times that were already stored: set it."
                    .to_owned(),
            );
        }
        warnings
    }
}
