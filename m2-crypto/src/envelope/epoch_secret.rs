//! What a session contributes to the epochs that are opened in it (docs/spec/envelope.md#session).

use super::grant::GrantRefused;
use crate::label;
use crate::secret::Secret;
use std::collections::VecDeque;
use std::fmt;

/// Bytes of the name of a session in a grant.
pub const SESSION_NAME_BYTES: usize = 8;

/// The most epochs of a session that a receiver passes over: grants that were lost with all their
/// messages. Each costs one key derivation.
pub const MAX_EPOCHS_SKIPPED: u32 = 1_024;

/// The secret from which a session derives the shares of one direction's epochs. It moves one step on
/// with each epoch, which erases the earlier state: a later copy of it opens no earlier epoch.
///
/// Both ends create it from the session's exporter ([`EpochSecret::EXPORT_OF_INITIATOR`]). It is never
/// stored, and must not outlive its session.
pub struct EpochSecret {
    session: [u8; SESSION_NAME_BYTES],
    step: u32,
    secret: Secret<32>,
    /// Shares of which it is not certain yet that their epochs exist.
    taken: Vec<EpochShare>,
    /// Shares whose epochs never existed, to be taken again.
    returned: VecDeque<EpochShare>,
}

/// A session's share in the root of one epoch.
#[derive(Clone)]
pub struct EpochShare {
    pub(super) session: [u8; SESSION_NAME_BYTES],
    pub(super) step: u32,
    pub(super) share: Secret<32>,
}

impl EpochSecret {
    /// The exporter's label for the epochs that the session's initiator opens.
    pub const EXPORT_OF_INITIATOR: &'static [u8] = b"epoch secret of the initiator";
    /// The exporter's label for the epochs that the session's responder opens.
    pub const EXPORT_OF_RESPONDER: &'static [u8] = b"epoch secret of the responder";
    /// The exporter's label for the session's name, of which the first 8 bytes count.
    pub const EXPORT_OF_NAME: &'static [u8] = b"session name";

    /// Begins with the exported values of a session.
    pub const fn new(session: [u8; SESSION_NAME_BYTES], secret: Secret<32>) -> Self {
        Self {
            session,
            step: 0,
            secret,
            taken: Vec::new(),
            returned: VecDeque::new(),
        }
    }

    /// Returns the session's name in grants.
    pub const fn session(&self) -> &[u8; SESSION_NAME_BYTES] {
        &self.session
    }

    /// Returns the share of the next epoch. A copy remains until [`Self::settle`].
    pub fn next_share(&mut self) -> EpochShare {
        let share = match self.returned.pop_front() {
            Some(share) => share,
            None => self.advance(),
        };
        self.taken.push(share.clone());
        share
    }

    /// Erases the copies of the shares that were taken, as their epochs exist now.
    pub fn settle(&mut self) {
        self.taken.clear();
    }

    /// Takes back the shares that were taken since [`Self::settle`]. Nothing that was sealed in their
    /// epochs may have been sent. So both ends stay together, however often a sender fails.
    pub fn take_back(&mut self) {
        for share in self.taken.drain(..).rev() {
            self.returned.push_front(share);
        }
    }

    /// Returns the share of this step, and moves on.
    fn advance(&mut self) -> EpochShare {
        let (next, share) = step(&self.secret);
        let taken = EpochShare {
            session: self.session,
            step: self.step,
            share,
        };
        self.secret = next;
        self.step = self.step.saturating_add(1);
        taken
    }

    /// Checks that a grant names this session and an epoch whose share is not erased or too far ahead.
    pub(super) fn check(&self, session: &[u8], epoch: u32) -> Result<(), GrantRefused> {
        let ahead = epoch.checked_sub(self.step);
        if session != self.session || ahead.is_none_or(|ahead| ahead > MAX_EPOCHS_SKIPPED) {
            return Err(GrantRefused::OtherSession);
        }
        Ok(())
    }

    /// Moves on to the epoch with this number in the session, and returns its share. The caller has
    /// called [`Self::check`].
    pub(super) fn share_of(&mut self, epoch: u32) -> Result<EpochShare, GrantRefused> {
        self.check(&self.session, epoch)?;
        loop {
            let share = self.advance();
            if share.step >= epoch {
                return Ok(share);
            }
        }
    }
}

impl fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochSecret({}, ..)", self.step)
    }
}

impl fmt::Debug for EpochShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochShare({}, ..)", self.step)
    }
}

/// Returns the secret after one step, and the share of the epoch before it.
fn step(secret: &Secret<32>) -> (Secret<32>, Secret<32>) {
    let out: Secret<64> = label::derive(secret.expose(), &[], "epoch step", &[]);
    out.halves()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> EpochSecret {
        EpochSecret::new([7; 8], Secret::new([9; 32]))
    }

    #[test]
    fn both_ends_have_the_same_shares_whichever_are_lost() {
        let (mut sender, mut receiver) = (secret(), secret());
        let shares: Vec<_> = (0..6).map(|_| sender.next_share()).collect();
        for number in [0, 1, 4, 5] {
            let share = receiver.share_of(number).unwrap();
            assert!(share.share == shares[number as usize].share);
        }
        assert!(shares[0].share != shares[1].share);
    }

    #[test]
    fn a_share_is_taken_once_and_from_its_own_session() {
        let mut receiver = secret();
        receiver.share_of(3).unwrap();
        for number in [0, 3, 4 + MAX_EPOCHS_SKIPPED + 1, u32::MAX] {
            let refused = receiver.check(&[7; 8], number);
            assert_eq!(refused, Err(GrantRefused::OtherSession), "{number}");
            assert!(receiver.share_of(number).is_err());
        }
        assert_eq!(receiver.check(&[7; 8], 4 + MAX_EPOCHS_SKIPPED), Ok(()));
        assert_eq!(receiver.check(&[8; 8], 4), Err(GrantRefused::OtherSession));
    }

    #[test]
    fn shares_that_were_taken_back_serve_again() {
        let (mut sender, mut receiver) = (secret(), secret());
        let first = sender.next_share();
        sender.settle();
        for _ in 0..3 * MAX_EPOCHS_SKIPPED {
            let steps = [sender.next_share().step, sender.next_share().step];
            assert_eq!((first.step, steps), (0, [1, 2]));
            sender.take_back();
        }
        let second = sender.next_share();
        sender.settle();
        sender.take_back();
        assert_eq!((second.step, sender.next_share().step), (1, 2));
        assert!(receiver.share_of(1).unwrap().share == second.share);
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut secret = secret();
        assert_eq!(format!("{secret:?}"), "EpochSecret(0, ..)");
        let share = secret.next_share();
        assert_eq!(format!("{share:?}"), "EpochShare(0, ..)");
    }
}
