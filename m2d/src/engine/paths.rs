//! Decides which of a contact's sessions serves, and moves it to a better path
//! (`docs/spec/reach.md#which-session-serves`).

use super::Engine;
use super::effect::Effect;
use crate::config::IpMode;
use crate::network::Link;
use crate::reach::PunchRequest;
use crate::refusal::Refusal;
use m2_core::sessions;
use m2_crypto::address::NamedAddress;
use m2_delivery::Path;
use m2_net::wire::Message;
use m2_net::wire::reach::Reach;
use std::sync::Arc;

impl Engine {
    /// Starts the search for a direct path when a session begins to serve and the mode allows it.
    /// On a direct path, tells the peer its observed address instead.
    pub(super) fn seek_direct(&mut self, row: i64, link: &Arc<Link>) {
        if self.ip_mode(row) != IpMode::Direct {
            return;
        }
        self.effects.push(Effect::AllowPunch(link.clone(), true));
        match link.path() {
            Path::Line if link.dialled => {
                self.effects
                    .push(Effect::Meet(PunchRequest::Seek(link.clone())));
            }
            Path::Direct => {
                let seen =
                    Message::Reach(Box::new(Reach::Observed(NamedAddress::new(link.remote))));
                self.effects
                    .push(Effect::Frame(link.clone(), Box::new(seen)));
            }
            Path::Line => {}
        }
    }

    /// Handles a frame about reachability. Where the mode does not allow direct paths, the frame is
    /// ignored (`docs/spec/reach.md`).
    pub(super) fn on_reach(&mut self, row: i64, link: &Arc<Link>, reach: Reach) {
        if self.ip_mode(row) != IpMode::Direct {
            tracing::debug!("a contact asks for a path that its mode does not allow");
            return;
        }
        self.effects.push(Effect::AllowPunch(link.clone(), true));
        match (reach, link.path()) {
            (Reach::Observed(address), Path::Direct) => {
                // Only once per session: each new address is sent to all contacts.
                if link.punch_state().hear_observed() {
                    let seen = PunchRequest::Seen(link.peer_id, address);
                    self.effects.push(Effect::Meet(seen));
                }
            }
            (Reach::Candidates(candidates), Path::Line) => {
                let came = PunchRequest::Came(link.clone(), candidates);
                self.effects.push(Effect::Meet(came));
            }
            _ => self.misdeed(link, "REACH_OUT_OF_PLACE"),
        }
    }

    /// Moves a conversation from a session in doubt to another established one, if there is any.
    pub(super) fn use_another(&mut self, doubted: &Arc<Link>) -> Result<(), Refusal> {
        let Some(row) = self.row_of(&doubted.peer_id) else {
            return Ok(());
        };
        if !self.serves(row, doubted) {
            return Ok(());
        }
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return Ok(());
        };
        let healthy = sessions::instead_of_doubtful(&peer_state.session_views());
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
    /// each, and the caller must pass the returned list to [`Self::on_still_silent`] soon. Accepted
    /// direct sessions cannot migrate, as their diallers know only the old addresses, so their
    /// peers are dialled at once.
    pub fn on_network_changed(&mut self) -> Vec<(Arc<Link>, u64)> {
        let mut probed = Vec::new();
        let links: Vec<Arc<Link>> = self
            .peers
            .values()
            .flat_map(|peer_state| &peer_state.links)
            .cloned()
            .collect();
        for link in links {
            match (link.path(), link.dialled) {
                (Path::Direct, false) => {
                    link.mark_stale();
                    self.dial_replacement(&link);
                }
                _ => {
                    probed.push((link.clone(), link.heard()));
                    self.effects.push(Effect::Probe(link));
                }
            }
        }
        if let Err(refusal) = self.dial_all() {
            self.fail_batch(refusal);
        }
        probed
    }

    /// Dials the peers of those sessions that have not received a datagram since `heard` was read.
    pub fn on_still_silent(&mut self, probed: Vec<(Arc<Link>, u64)>) {
        for (link, heard) in probed {
            if link.heard() == heard && !link.is_over() {
                link.mark_stale();
                self.dial_replacement(&link);
            }
        }
    }
}
