//! What others see of us, as far as it depends on what is stored.

use super::Engine;
use crate::config::IpMode;
use crate::refusal::Refusal;
use crate::store::ContactState;

/// What others see depends on these, besides the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrivacyFacts {
    /// Own relays in front of others.
    pub entries: usize,
    /// Own relays where contacts may call.
    pub relays: usize,
    /// Own boxes at mailbox providers.
    pub boxes: usize,
    /// Contacts whose boxes may be written to.
    pub writes_letters: usize,
    /// Contacts of whom lines are preferred, by their own policy alone.
    pub prefer_line: usize,
    /// Contacts to whom only lines lead, by their own policy alone.
    pub line_only: usize,
}

impl Engine {
    /// What others see depends on these.
    pub fn privacy_facts(&mut self) -> Result<PrivacyFacts, Refusal> {
        let lines = self.store.lines()?;
        let entries = lines.iter().filter(|line| line.entry).count();
        let contacts: Vec<i64> = self.contacts_in(ContactState::Contact).collect();
        let of_mode = |mode| {
            let is_stricter =
                |row: &&i64| mode > self.profile_mode() && self.ip_mode(**row) == mode;
            contacts.iter().filter(is_stricter).count()
        };
        Ok(PrivacyFacts {
            entries,
            relays: lines.len() - entries,
            boxes: self.store.mailboxes()?.len(),
            writes_letters: contacts
                .iter()
                .filter(|row| self.may_deposit(**row))
                .count(),
            prefer_line: of_mode(IpMode::PreferLine),
            line_only: of_mode(IpMode::LineOnly),
        })
    }

    /// Sentences for the user about lines that can't work.
    pub(in crate::engine) fn line_warnings(&self) -> Result<Vec<String>, Refusal> {
        let mut warnings = Vec::new();
        if self.profile_mode() != IpMode::LineOnly {
            return Ok(warnings);
        }
        if self.store.lines()?.is_empty() {
            warnings.push(
                "Nothing is sent: [privacy] ip is \"line-only\" and there is no relay. Add one \
                 with `m2 line add INVITE`."
                    .to_owned(),
            );
        }
        if !self.store.mailboxes()?.is_empty() {
            warnings.push(
                "Mailboxes are not used: [privacy] ip is \"line-only\", and providers would learn \
                 this computer's address."
                    .to_owned(),
            );
        }
        Ok(warnings)
    }
}
