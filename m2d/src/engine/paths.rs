//! Which of a contact's sessions serves, and how it comes to a better path (spec §8).

use super::Engine;
use super::effect::Effect;
use crate::config::IpMode;
use crate::network::Link;
use crate::reach::Meeting;
use crate::refusal::Refusal;
use m2_crypto::address::NamedAddress;
use m2_net::delivery::Path;
use m2_net::wire::Message;
use m2_net::wire::reach::Reach;
use std::sync::Arc;

/// How welcome a session's way is where the mode is this: of two healthy ones the higher stays.
pub(super) fn path_rank(mode: IpMode, link: &Link) -> u8 {
    let wished = match mode {
        IpMode::Direct => Path::Direct,
        IpMode::PreferLine | IpMode::LineOnly => Path::Line,
    };
    u8::from(link.path() == wished)
}

/// Both dialled at once: takes out the session that we are to end, if any. Of two ways it is the
/// one on the less welcome way, if we dialled it; of two on the same way the one that the larger id
/// dialled, if that is us.
pub(super) fn crossed(
    links: &mut Vec<Arc<Link>>,
    mode: IpMode,
    own_is_smaller: bool,
) -> Option<Arc<Link>> {
    let ours = links.iter().position(|link| link.dialled)?;
    let theirs = links.iter().position(|link| !link.dialled)?;
    let rank = |place: usize| links.get(place).map(|link| path_rank(mode, link));
    let (our_rank, their_rank) = (rank(ours)?, rank(theirs)?);
    let ends_ours = our_rank < their_rank || (our_rank == their_rank && !own_is_smaller);
    if !ends_ours {
        return None;
    }
    let unwanted = links.remove(ours);
    // What is still on its way on it is taken in until its end.
    links.insert(0, unwanted.clone());
    Some(unwanted)
}

impl Engine {
    /// A session serves from now on. On a line, a direct path is looked for where that is allowed;
    /// on a direct path, the peer is told where it is seen.
    pub(super) fn seek_direct(&mut self, row: i64, link: &Arc<Link>) {
        if self.ip_mode(row) != IpMode::Direct {
            return;
        }
        link.meets().allow();
        match link.path() {
            Path::Line if link.dialled => {
                self.effects.push(Effect::Meet(Meeting::Seek(link.clone())));
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

    /// A contact says something about the way. Where only lines are allowed nothing is answered
    /// and nothing sent (spec §7).
    pub(super) fn on_reach(&mut self, row: i64, link: &Arc<Link>, reach: Reach) {
        if self.ip_mode(row) != IpMode::Direct {
            tracing::debug!("a contact asks for a path that its mode does not allow");
            return;
        }
        link.meets().allow();
        match (reach, link.path()) {
            (Reach::Observed(address), Path::Direct) => {
                // Once in a session: each new address has all contacts told of it.
                if link.meets().hear_observed() {
                    let seen = Meeting::Seen(link.peer_id, address);
                    self.effects.push(Effect::Meet(seen));
                }
            }
            (Reach::Candidates(candidates), Path::Line) => {
                let came = Meeting::Came(link.clone(), candidates);
                self.effects.push(Effect::Meet(came));
            }
            _ => link.misbehaved("REACH_OUT_OF_PLACE"),
        }
    }

    /// The session to send on is in doubt: another one that stands beside it serves.
    pub(super) fn use_another(&mut self, doubted: &Arc<Link>) -> Result<(), Refusal> {
        let Some(row) = self.row_of(&doubted.peer_id) else {
            return Ok(());
        };
        if !self.serves(row, doubted) {
            return Ok(());
        }
        let Some(slot) = self.slots.get_mut(&row) else {
            return Ok(());
        };
        let healthy = slot.links.iter().rposition(|link| !link.wants_successor());
        let Some(place) = healthy else {
            return Ok(());
        };
        let link = slot.links.remove(place);
        slot.links.push(link.clone());
        if self.is_contact(row) {
            self.talk_on(row, &link)?;
        }
        Ok(())
    }

    /// This host's addresses changed. Sessions that we dialled may go on from the new ones: what is
    /// sent on them shows it; those that do not are to be given to [`Self::on_still_silent`] soon.
    /// The others can't go on, as their diallers know only the old addresses.
    pub fn on_network_changed(&mut self) -> Vec<(Arc<Link>, u64)> {
        let mut nudged = Vec::new();
        let links: Vec<Arc<Link>> = self
            .slots
            .values()
            .flat_map(|slot| &slot.links)
            .cloned()
            .collect();
        for link in links {
            match (link.path(), link.dialled) {
                (Path::Direct, false) => {
                    link.give_up();
                    self.call_instead(&link);
                }
                _ => {
                    nudged.push((link.clone(), link.heard()));
                    link.nudge();
                }
            }
        }
        if let Err(refusal) = self.dial_all() {
            self.fail_batch(refusal);
        }
        nudged
    }

    /// Nothing came back on these sessions since so many datagrams had been heard: their peers are
    /// called beside.
    pub fn on_still_silent(&mut self, nudged: Vec<(Arc<Link>, u64)>) {
        for (link, heard) in nudged {
            if link.heard() == heard && !link.is_over() {
                link.give_up();
                self.call_instead(&link);
            }
        }
    }
}
