//! The names of contacts, and what a front-end may call them by.

use super::unknown;
use crate::{Engine, Refusal};
use m2_core::ContactState;
use m2_core::contact_name::{is_fit, look_alike};
use m2_core::resolve::{self, NotFound};
use m2_proto::reason::Reason;

impl Engine {
    /// Names a contact as the user wants, else as the peer suggests if that name is free and fit.
    /// Otherwise keeps the name.
    pub(crate) fn name_contact(
        &mut self,
        row: i64,
        wanted: &str,
        suggested: &str,
    ) -> Result<(), Refusal> {
        if !wanted.is_empty() {
            self.check_name(wanted, Some(row))?;
            self.contact_mut(row)?.name = wanted.to_owned();
        } else if self.check_name(suggested, Some(row)).is_ok() {
            self.contact_mut(row)?.name = suggested.to_owned();
        }
        Ok(())
    }

    /// Checks that a name is fit and free for the contact with `row`.
    pub(crate) fn check_name(&self, name: &str, row: Option<i64>) -> Result<(), Refusal> {
        if !is_fit(name) {
            return Err(Refusal::argument(
                "name",
                "1..64 bytes, visible",
                "A name has 1 to 64 bytes, no invisible or control characters, no spaces at its \
                 ends, and does not begin like a peer id (m21).",
            ));
        }
        let taken = self.peers.values().any(|peer_state| {
            Some(peer_state.contact.row) != row
                && peer_state.contact.state != ContactState::Removed
                && look_alike(&peer_state.contact.name, name)
        });
        if taken {
            return Err(Refusal::new(Reason::NameTaken));
        }
        Ok(())
    }

    /// Returns the contact with this name, this peer id, or the only one whose id has this prefix.
    pub(crate) fn resolve(&self, text: &str) -> Result<i64, Refusal> {
        let known = || {
            self.peers
                .values()
                .filter(|peer_state| peer_state.contact.state != ContactState::Removed)
        };
        let folded = text.to_lowercase();
        let by_name = known().find(|peer_state| peer_state.contact.name.to_lowercase() == folded);
        if let Some(peer_state) = by_name {
            return Ok(peer_state.contact.row);
        }
        let by_id = known().map(|peer_state| &peer_state.contact);
        let by_id = by_id.map(|contact| (contact.peer_id, contact.row));
        resolve::by_prefix(text, by_id).map_err(|error| match error {
            NotFound::Unknown => unknown(),
            NotFound::Ambiguous => Refusal::new(Reason::ContactAmbiguous),
        })
    }

    pub(super) fn resolve_request(&self, name: &str) -> Result<i64, Refusal> {
        let row = self.resolve(name)?;
        let peer_state = self.peers.get(&row).ok_or_else(unknown)?;
        if peer_state.contact.state == ContactState::Request {
            Ok(row)
        } else {
            Err(Refusal::new(Reason::NoRequest))
        }
    }
}
