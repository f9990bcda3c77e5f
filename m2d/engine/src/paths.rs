//! Decides which of a contact's sessions serves, and moves it to a better path
//! (`docs/spec/reach.md#which-session-serves`).

use super::{Effect, Engine};
use crate::refusal::Refusal;
use crate::session::Session;
use m2_core::IpMode;
use m2_core::sessions::{self, SessionId};
use m2_crypto::address::NamedAddress;
use m2_delivery::Path;
use m2_wire::Message;
use m2_wire::reach::Reach;
use std::sync::Arc;

impl Engine {
    /// Starts the search for a direct path when a session begins to serve and the mode allows it.
    /// On a direct path, tells the peer its observed address instead.
    pub(super) fn seek_direct(&mut self, row: i64, link: &Arc<Session>) {
        if self.ip_mode(row) != IpMode::Direct {
            return;
        }
        self.effect(Effect::AllowPunch(link.id, true));
        match link.path {
            Path::Line if link.dialled => self.effect(Effect::Seek(link.id)),
            Path::Direct => {
                let seen = Reach::Observed(NamedAddress::new(link.remote));
                self.push_frame(link.id, Message::Reach(Box::new(seen)));
            }
            Path::Line => {}
        }
    }

    /// Handles a frame about reachability. Where the mode does not allow direct paths, the frame is
    /// ignored (`docs/spec/reach.md`).
    pub(super) fn on_reach(&mut self, row: i64, link: &Arc<Session>, reach: Reach) {
        if self.ip_mode(row) != IpMode::Direct {
            tracing::debug!(session = link.id.0, peer = %link.name(), "a contact asks for a path that its mode does not allow");
            return;
        }
        self.effect(Effect::AllowPunch(link.id, true));
        match (reach, link.path) {
            (Reach::Observed(address), Path::Direct) => {
                // Only once per session: each new address is sent to all contacts.
                if self.hears_observed(link.id) {
                    self.effect(Effect::Observed(link.peer_id, address));
                }
            }
            (Reach::Candidates(candidates), Path::Line) => {
                self.effect(Effect::Candidates(link.id, candidates));
            }
            _ => self.misdeed(link.id, "REACH_OUT_OF_PLACE"),
        }
    }

    /// Records a report of this host's observed address. Returns whether it is the first in the
    /// session.
    fn hears_observed(&mut self, id: SessionId) -> bool {
        let progress = self.sessions.progress_mut(id);
        progress.is_some_and(|progress| !std::mem::replace(&mut progress.told_observed, true))
    }

    /// Moves a conversation from a session in doubt to another established one, if there is any.
    pub(super) fn use_another(&mut self, doubted: &Arc<Session>) -> Result<(), Refusal> {
        let Some(row) = self.row_of(&doubted.peer_id) else {
            return Ok(());
        };
        if !self.serves(row, doubted) {
            return Ok(());
        }
        let healthy = sessions::instead_of_doubtful(&self.session_views(row));
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return Ok(());
        };
        let Some(link) = healthy.and_then(|id| peer_state.links_of(&[id]).pop()) else {
            return Ok(());
        };
        peer_state.links.retain(|other| other.id != link.id);
        peer_state.links.push(link.clone());
        if self.is_contact(row) {
            self.talk_on(row, &link)?;
        }
        Ok(())
    }

    /// Handles a change of this host's addresses. Dialled sessions may migrate: a probe is sent on
    /// each, and those that stay silent must be passed to [`Self::on_still_silent`] soon. Accepted
    /// direct sessions cannot migrate, as their diallers know only the old addresses, so their
    /// peers are dialled at once.
    pub(crate) fn on_network_changed(&mut self) -> Result<(), Refusal> {
        let peers = self.peers.values();
        let links = peers.flat_map(|peer_state| &peer_state.links);
        let links: Vec<Arc<Session>> = links.cloned().collect();
        for link in links {
            match (link.path, link.dialled) {
                (Path::Direct, false) => self.replace(&link),
                _ => self.effect(Effect::Probe(link.id)),
            }
        }
        self.dial_all()
    }

    /// Dials the peers of sessions that have not received a datagram since they were probed.
    pub(crate) fn on_still_silent(&mut self, silent: Vec<SessionId>) {
        for id in silent {
            if let Some(link) = self.sessions.get(id) {
                self.replace(&link);
            }
        }
    }

    fn replace(&mut self, link: &Arc<Session>) {
        self.mark_stale(link.id);
        self.dial_replacement(link);
    }
}
