//! What tests of letters do to daemons: they act as provider, depositor and collector.

use super::daemon::End;
use super::network::World;
use m2_core::PathFailure;
use m2_crypto::deposit::{BoxKey, DepositNonce, DepositToken};
use m2_crypto::letter::{LetterSecret, OpenedLetter, Opener};
use m2_crypto::provider;
use m2_engine::{
    ContactRequest, DepositEnd, DepositJob, LetterInput, LetterKeys, MailboxInput, MailboxView,
    PolicyChange, Query, Refusal, SealedDeposit,
};
use m2_wire::mailbox::{BoxState, Outcome};
use rand::RngExt as _;
use rand_core::UnwrapErr;
use tokio::sync::oneshot::Receiver;

pub(crate) const ALICE: usize = 0;
pub(crate) const BOB: usize = 1;
/// The provider. Its identity makes the invitation for boxes.
pub(crate) const CAROL: usize = 2;
pub(crate) const DAY_MS: u64 = 86_400_000;
/// Longer than the delays before a deposit.
const SOON_MS: u64 = 61_000;

pub(crate) const GRANTS: PolicyChange = change(Some(true), None);
pub(crate) const USES: PolicyChange = change(None, Some(true));

pub(crate) const fn change(mailbox_grant: Option<bool>, mailbox_use: Option<bool>) -> PolicyChange {
    PolicyChange {
        mailbox_grant,
        mailbox_use,
        ip: None,
        keep_s: None,
    }
}

impl World {
    pub(crate) fn policy(&mut self, daemon: usize, peer: usize, change: PolicyChange) {
        let contact = self.id(peer).to_string();
        let set = self.daemons[daemon].ask(|reply| ContactRequest::SetPolicy {
            contact,
            change,
            reply,
        });
        self.answer(daemon, set).unwrap();
    }

    pub(crate) fn mailbox(&mut self, daemon: usize) -> MailboxView {
        let boxes = self.daemons[daemon].query(Query::Mailboxes).unwrap();
        boxes.into_iter().next().unwrap()
    }

    pub(crate) fn box_key(&mut self, daemon: usize) -> BoxKey {
        self.mailbox(daemon).row.key.unwrap()
    }

    /// Lets the providers of a daemon's boxes confirm their keys.
    pub(crate) fn provider_confirms(&mut self, daemon: usize) {
        for row in self.daemons[daemon].query(Query::Mailboxes).unwrap() {
            let state = BoxState {
                open: true,
                ..BoxState::default()
            };
            let (row, key) = (row.row.row, row.row.key);
            let told =
                self.daemons[daemon].ask(|reply| MailboxInput::State(row, state, key, reply));
            self.answer(daemon, told).unwrap();
        }
    }

    pub(crate) fn register(&mut self, daemon: usize) {
        self.register_at(daemon, CAROL);
    }

    pub(crate) fn register_at(&mut self, daemon: usize, provider: usize) {
        let invitation = self.invitation_at(provider, "11.0.0.9:9999");
        let asked = self.daemons[daemon].ask(|reply| MailboxInput::Register(invitation, reply));
        self.answer(daemon, asked).unwrap();
        self.provider_confirms(daemon);
    }

    /// Returns the deposits of a daemon that are due soon.
    pub(crate) fn jobs(&mut self, daemon: usize) -> Vec<DepositJob> {
        self.pass(SOON_MS);
        self.run(daemon, End::Whole);
        self.pass(SOON_MS);
        self.jobs_now(daemon)
    }

    /// Returns the deposits of a daemon that are due.
    pub(crate) fn jobs_now(&mut self, daemon: usize) -> Vec<DepositJob> {
        let due = self.daemons[daemon].ask(|reply| LetterInput::NextDeposits(100, reply));
        self.answer(daemon, due).unwrap().0
    }

    pub(crate) fn seal(&mut self, daemon: usize, job: &DepositJob) -> Option<SealedDeposit> {
        let (message, provider) = (job.message, job.provider);
        let sealed = self.daemons[daemon].ask(|reply| LetterInput::Seal(message, provider, reply));
        self.answer(daemon, sealed).unwrap()
    }

    pub(crate) fn end(&mut self, daemon: usize, job: &DepositJob, end: DepositEnd) {
        let message = job.message;
        let told =
            self.daemons[daemon].ask(|reply| LetterInput::DepositEnded(message, None, end, reply));
        self.answer(daemon, told).unwrap();
    }

    /// Seals the only letter that is due, without an outcome.
    pub(crate) fn letter(&mut self, daemon: usize) -> (DepositJob, SealedDeposit) {
        let mut jobs = self.jobs(daemon);
        assert_eq!(jobs.len(), 1);
        let job = jobs.remove(0);
        let sealed = self.seal(daemon, &job).unwrap();
        (job, sealed)
    }

    pub(crate) fn keys(&mut self, daemon: usize, token: &DepositToken) -> Option<LetterKeys> {
        let nonce = *token.nonce();
        let keys = self.daemons[daemon].ask(|reply| LetterInput::Keys(nonce, reply));
        self.answer(daemon, keys).unwrap()
    }

    /// Opens a letter as the task that collects letters does.
    pub(crate) fn open(
        &mut self,
        daemon: usize,
        token: &DepositToken,
        sealed: &[u8],
    ) -> Option<OpenedLetter> {
        let keys = self.keys(daemon, token)?;
        self.open_with(daemon, token.nonce(), &keys, sealed)
    }

    fn open_with(
        &self,
        daemon: usize,
        nonce: &DepositNonce,
        keys: &LetterKeys,
        sealed: &[u8],
    ) -> Option<OpenedLetter> {
        let secrets: Vec<&LetterSecret> = keys.secrets.iter().collect();
        let opener = Opener {
            identity: &self.daemons[daemon].identity,
            peer_id: &self.daemons[daemon].id,
            nonce,
            key: &keys.seed.key(provider::default()).unwrap(),
            secrets: &secrets,
            sender: &keys.sender,
            certificate: &keys.certificate,
        };
        let mut rng = UnwrapErr(getrandom::SysRng);
        opener.open(&mut rng, sealed).ok()
    }

    /// Opens a letter and takes its message. Returns whether it opened.
    pub(crate) fn collect(&mut self, daemon: usize, letter: &SealedDeposit) -> bool {
        let Some(opened) = self.open(daemon, &letter.token, &letter.sealed) else {
            return false;
        };
        let nonce = *letter.token.nonce();
        let taken = self.daemons[daemon].ask(|reply| LetterInput::Take(nonce, opened, reply));
        self.answer(daemon, taken).unwrap();
        true
    }

    /// Returns how many letters a daemon can deposit for a contact.
    pub(crate) fn tokens(&mut self, daemon: usize, peer: usize) -> u32 {
        let peer = self.id(peer);
        self.daemons[daemon].contact(peer).unwrap().mailbox_tokens
    }

    /// Ends the session between two daemons, so that neither dials again.
    pub(crate) fn part(&mut self, one: usize, other: usize) {
        self.settle();
        self.cut(one, other);
        for daemon in [one, other] {
            self.run(daemon, End::Whole);
        }
    }

    pub(crate) fn failure(&mut self, daemon: usize, peer: usize) -> Option<PathFailure> {
        let peer = self.id(peer);
        self.daemons[daemon].contact(peer).unwrap().mailbox_failure
    }
}

/// Letters of random schedules, in which daemons are killed.
impl World {
    /// Returns how a batch ends.
    fn random_end(&mut self) -> End {
        match self.rng.random_range(0..12) {
            0 => End::KilledBefore,
            1 => End::KilledAfter,
            _ => End::Whole,
        }
    }

    /// Returns the answer to a request once its batch has run; `None` if the daemon was killed, or refused
    /// it.
    fn any_answer<T>(
        &mut self,
        daemon: usize,
        mut asked: Receiver<Result<T, Refusal>>,
    ) -> Option<T> {
        let end = self.random_end();
        self.run(daemon, end);
        asked.try_recv().ok()?.ok()
    }

    /// Puts the switches for letters between two daemons on, or one of them off.
    pub(crate) fn consent(&mut self, one: usize, other: usize) {
        let grant = self.rng.random_range(0..4) > 0;
        let change = change(Some(grant), Some(true));
        let contact = self.id(other).to_string();
        let set = self.daemons[one].ask(|reply| ContactRequest::SetPolicy {
            contact,
            change,
            reply,
        });
        drop(set);
    }

    /// Parts a daemon from the others and deposits its letters that are due. Some outcomes do not arrive.
    pub(crate) fn deposit_some(&mut self, daemon: usize) {
        (0..3).for_each(|other| self.cut(daemon, other));
        for _ in 0..2 {
            self.pass(SOON_MS);
            self.run(daemon, End::Whole);
        }
        let due = self.daemons[daemon].ask(|reply| LetterInput::NextDeposits(100, reply));
        let Some((jobs, _)) = self.any_answer(daemon, due) else {
            return;
        };
        for job in jobs {
            let (message, provider) = (job.message, job.provider);
            let sealed =
                self.daemons[daemon].ask(|reply| LetterInput::Seal(message, provider, reply));
            let Some(Some(sealed)) = self.any_answer(daemon, sealed) else {
                continue;
            };
            let owner = (0..3).find(|owner| self.id(*owner) == job.owner).unwrap();
            let nonce = Some(*sealed.token.nonce());
            self.letters.push((owner, sealed));
            self.seen.deposits += 1;
            let end = match self.rng.random_range(0..4) {
                0 => DepositEnd::Failed(PathFailure::NoAnswer),
                _ => DepositEnd::Answered(Outcome::Stored),
            };
            let told = self.daemons[daemon]
                .ask(|reply| LetterInput::DepositEnded(message, nonce, end, reply));
            self.any_answer(daemon, told);
            if self.rng.random_range(0..2) == 0 {
                self.collect_some(owner);
            }
        }
    }

    /// Passes the letters of an owner on. Some come again later.
    pub(crate) fn collect_some(&mut self, owner: usize) {
        for number in 0..self.letters.len() {
            if self.letters[number].0 != owner {
                continue;
            }
            let (nonce, sealed) = {
                let letter = &self.letters[number].1;
                (*letter.token.nonce(), letter.sealed.clone())
            };
            let keys = self.daemons[owner].ask(|reply| LetterInput::Keys(nonce, reply));
            let Some(Some(keys)) = self.any_answer(owner, keys) else {
                continue;
            };
            let Some(opened) = self.open_with(owner, &nonce, &keys, &sealed) else {
                continue;
            };
            let taken = self.daemons[owner].ask(|reply| LetterInput::Take(nonce, opened, reply));
            if self.any_answer(owner, taken).is_some() {
                self.seen.collected += 1;
            }
        }
    }
}
