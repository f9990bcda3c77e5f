//! The peer's incarnations and those of its epochs that this side can open
//! (docs/spec/delivery.md#epochs).

use super::context::Context;
use super::error::Misdeed;
use super::id::Time;
use super::limits::Limits;
use super::output::{SavedIncarnation, SavedPeerGrant, Write};
use super::peer_incarnation::PeerIncarnation;
use super::tools::Tools;
use super::wasted_work::WastedWork;
use bytes::Bytes;
use m2_crypto::envelope::{
    EpochHeader, MAX_GRANT_AGE_S, MAX_GRANT_AHEAD_S, Opened, ReceiveEpoch, SealedHeader,
};
use std::collections::{BTreeMap, BTreeSet};

/// A grant that was accepted outside the machine.
#[derive(Debug)]
pub struct AcceptedGrant {
    /// The epoch that the grant opens.
    pub epoch: ReceiveEpoch,
    /// The signed grant. It is kept so that it can be shown to the peer that signed it.
    pub grant: Bytes,
}

const MINUTE: u64 = 60_000;

/// Epoch numbers above this one are refused: they would not fit a signed 64-bit column.
const MAX_EPOCH: u64 = i64::MAX as u64;

pub(super) struct ReceiveEpochs {
    incarnations: BTreeMap<u64, PeerIncarnation>,
    /// The incarnations that may have unsaved changes.
    touched: BTreeSet<u64>,
    tick: u64,
    /// The start of the current minute in which grants are counted, and their number so far.
    grants: (Time, u32),
    wasted: WastedWork,
}

impl ReceiveEpochs {
    pub(super) fn new(saved: Vec<SavedIncarnation>, grants: Vec<SavedPeerGrant>) -> Self {
        let mut incarnations: BTreeMap<u64, PeerIncarnation> = saved
            .into_iter()
            .map(|row| (row.incarnation, PeerIncarnation::new(row)))
            .collect();
        for row in grants {
            if let Some(peer) = incarnations.get_mut(&row.incarnation) {
                peer.grant = row.grant;
            }
        }
        Self {
            incarnations,
            touched: BTreeSet::new(),
            tick: 0,
            grants: (Time(0), 0),
            wasted: WastedWork::new(),
        }
    }

    /// Returns a known incarnation of the peer for modification.
    pub(super) fn incarnation(&mut self, incarnation: u64) -> Option<&mut PeerIncarnation> {
        let peer = self.incarnations.get_mut(&incarnation)?;
        self.touched.insert(incarnation);
        Some(peer)
    }

    /// Returns the record of an incarnation, if it is known.
    pub(super) fn known(&self, incarnation: u64) -> Option<&PeerIncarnation> {
        self.incarnations.get(&incarnation)
    }

    /// Returns the numbers of all known incarnations.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.incarnations.keys().copied().collect()
    }

    /// Adds an incarnation if it is not known yet, with `next` as its next place, and marks it as
    /// used.
    pub(super) fn adopt(&mut self, incarnation: u64, next: u64) {
        self.tick += 1;
        let peer = self.incarnations.entry(incarnation).or_insert_with(|| {
            let mut peer = PeerIncarnation::new(SavedIncarnation {
                incarnation,
                highest_epoch: 0,
                next_sequence: next,
            });
            peer.dirty = true;
            peer
        });
        peer.used = self.tick;
        self.touched.insert(incarnation);
    }

    /// If there are too many incarnations, returns the one to evict: the least recently used other
    /// than `followed` and `newest`.
    pub(super) fn surplus(&self, limits: &Limits, followed: u64, newest: u64) -> Option<u64> {
        if self.incarnations.len() <= limits.max_incarnations {
            return None;
        }
        let others = self.incarnations.iter();
        let others = others.filter(|(number, _)| ![followed, newest].contains(*number));
        others
            .min_by_key(|(_, peer)| peer.used)
            .map(|(number, _)| *number)
    }

    /// Removes an incarnation that holds no messages.
    pub(super) fn forget(&mut self, tools: &mut Tools<'_>, incarnation: u64) {
        self.touched.remove(&incarnation);
        if self.incarnations.remove(&incarnation).is_none() {
            return;
        }
        tools.out.write(Write::IncarnationRemove { incarnation });
    }

    /// Returns whether a grant may be new, has an acceptable age, and is within the peer's rate
    /// limit.
    pub(super) fn wants(&mut self, now: Time, limits: &Limits, grant: &EpochHeader) -> bool {
        let age = now.seconds().saturating_sub(grant.created_s);
        let ahead = grant.created_s.saturating_sub(now.seconds());
        self.is_new(grant.incarnation, grant.epoch)
            && age <= MAX_GRANT_AGE_S
            && ahead <= MAX_GRANT_AHEAD_S
            && self.afford(now, limits)
    }

    fn is_new(&self, incarnation: u64, epoch: u64) -> bool {
        match self.incarnations.get(&incarnation) {
            _ if epoch > MAX_EPOCH => false,
            // Nothing at or below the highest epoch is accepted (docs/spec/delivery.md#epochs).
            Some(peer) => epoch > peer.saved.highest_epoch,
            None => incarnation != 0,
        }
    }

    fn afford(&mut self, now: Time, limits: &Limits) -> bool {
        if now.since(self.grants.0) >= MINUTE {
            self.grants = (now, 0);
        }
        let affordable = self.grants.1 < limits.grants_per_minute;
        self.grants.1 += u32::from(affordable);
        affordable
    }

    /// Installs the epoch of an accepted grant.
    ///
    /// Errors: [`Misdeed::ForeignGrant`] if the grant belongs to another conversation.
    pub(super) fn install(
        &mut self,
        cx: &Context<'_>,
        tools: &mut Tools<'_>,
        accepted: AcceptedGrant,
    ) -> Result<(), Misdeed> {
        let header = *accepted.epoch.header();
        if header.sender != cx.peer_id || header.receiver != cx.own_id {
            return Err(Misdeed::ForeignGrant);
        }
        if !self.is_new(header.incarnation, header.epoch) {
            tools.counters.unwanted_grants += 1;
            return Ok(());
        }
        self.insert(tools, header.incarnation, accepted);
        self.close_old_epochs(tools.limits, header.incarnation);
        self.close_old_incarnations(tools.limits);
        Ok(())
    }

    fn insert(&mut self, tools: &mut Tools<'_>, incarnation: u64, accepted: AcceptedGrant) {
        let AcceptedGrant { epoch, grant } = accepted;
        let number = epoch.epoch();
        // The frames of a session come in the order in which they were sealed.
        self.close_epochs(|earlier| earlier.session() == epoch.session());
        self.adopt(incarnation, 1);
        let Some(peer) = self.incarnations.get_mut(&incarnation) else {
            return;
        };
        peer.saved.highest_epoch = number;
        peer.dirty = true;
        peer.grant = grant.clone();
        peer.epochs.insert(number, epoch);
        tools
            .out
            .write(Write::PeerGrant(SavedPeerGrant { incarnation, grant }));
    }

    /// Erases the keys of the epochs that `is_over` selects.
    pub(super) fn close_epochs(&mut self, is_over: impl Fn(&ReceiveEpoch) -> bool) {
        for peer in self.incarnations.values_mut() {
            peer.epochs.retain(|_, epoch| !is_over(epoch));
        }
    }

    fn close_old_epochs(&mut self, limits: &Limits, incarnation: u64) {
        let Some(peer) = self.incarnations.get_mut(&incarnation) else {
            return;
        };
        while peer.epochs.len() > limits.open_epochs {
            peer.epochs.pop_first();
        }
    }

    fn close_old_incarnations(&mut self, limits: &Limits) {
        let open = |peer: &&mut PeerIncarnation| !peer.epochs.is_empty();
        let count = self.incarnations.values_mut().filter(open).count();
        if count <= limits.open_incarnations {
            return;
        }
        let oldest = self.incarnations.values_mut().filter(open);
        if let Some(peer) = oldest.min_by_key(|peer| peer.used) {
            peer.epochs.clear();
        }
    }

    /// Opens a message. Returns `None` if its epoch is not open or the message does not open in it.
    ///
    /// Errors: [`Misdeed::TooMuchWork`] if it might waste more work than the peer's allowance.
    pub(super) fn open(
        &mut self,
        now: Time,
        tools: &mut Tools<'_>,
        header: &SealedHeader,
        sealed: &[u8],
    ) -> Result<Option<Opened>, Misdeed> {
        let Some(peer) = self.incarnations.get_mut(&header.incarnation) else {
            return Ok(None);
        };
        let Some(open) = peer.epochs.get_mut(&header.epoch) else {
            return Ok(None);
        };
        let Some(steps) = open.steps_to(header.index) else {
            return Ok(None);
        };
        // The chain steps, and the keys of the message itself.
        let derivations = steps.saturating_add(1);
        if !self.wasted.affords(now, tools.limits, derivations) {
            return Err(Misdeed::TooMuchWork);
        }
        let Ok(opened) = open.open(sealed) else {
            self.wasted.charge(derivations);
            tools.counters.forged += 1;
            tools.counters.wasted_derivations += u64::from(derivations);
            self.forget_ahead_except(header);
            return Ok(None);
        };
        self.tick += 1;
        peer.used = self.tick;
        Ok(Some(opened))
    }

    /// Drops the derived seeds of all epochs but one: this bounds their memory for each peer.
    fn forget_ahead_except(&mut self, header: &SealedHeader) {
        for (incarnation, peer) in &mut self.incarnations {
            for (number, open) in &mut peer.epochs {
                if (*incarnation, *number) != (header.incarnation, header.epoch) {
                    open.forget_ahead();
                }
            }
        }
    }

    /// Returns a changed row and marks it as saved.
    pub(super) fn take_dirty(&mut self) -> Option<Write> {
        while let Some(incarnation) = self.touched.first().copied() {
            if let Some(write) = self.take_dirty_of(incarnation) {
                return Some(write);
            }
            self.touched.remove(&incarnation);
        }
        None
    }

    fn take_dirty_of(&mut self, incarnation: u64) -> Option<Write> {
        let peer = self.incarnations.get_mut(&incarnation)?;
        std::mem::take(&mut peer.dirty).then_some(Write::Incarnation(peer.saved))
    }

    /// Returns whether [`take_dirty`](Self::take_dirty) may return a row.
    pub(super) fn is_dirty(&self) -> bool {
        !self.touched.is_empty()
    }
}
