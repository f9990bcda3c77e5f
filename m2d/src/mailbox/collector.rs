//! The owner's side: a permanent session with each provider, over which letters are pushed.

use super::depositor::lost;
use super::opener::LetterOpener;
use super::owner_session::{OwnerSession, ProviderError};
use super::wake::{BoxesWatch, Wake};
use crate::connect::of_dial;
use crate::driver::EngineHandle;
use m2_core::PathFailure;
use m2_crypto::deposit::BoxKey;
use m2_crypto::handshake::Credential;
use m2_crypto::invitation::{InviteId, PROOF_EXPORT_LABEL, proof};
use m2_crypto::{Identity, Secret};
use m2_engine::BoxHealth;
use m2_engine::MailboxInput;
use m2_engine::Refusal;
use m2_limits::backoff::Backoff;
use m2_net::endpoint::Endpoint;
use m2_net::race;
use m2_net::session::{SessionError, SessionHandle};
use m2_net::wire::Purpose;
use m2_net::wire::mailbox::{BoxState, Letter, Request};
use m2_store::{BoxRowId, MailboxRow, MailboxState};
use rand_core::{Rng, UnwrapErr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The pauses after failed sessions.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(300),
};
/// The timeout of a dial.
const DIAL_WITHIN: Duration = Duration::from_secs(10);
/// After this time without a letter, all waiting letters are assumed to be collected.
const QUIET: Duration = Duration::from_millis(500);
/// The number of letters that are stored before the provider is told to delete them.
const TAKEN_AT_ONCE: usize = 64;

/// The collector of letters from the daemon's own boxes.
pub struct Collector {
    /// The engine, which stores the messages.
    pub engine: EngineHandle,
    /// The endpoint from which providers are dialled.
    pub endpoint: Arc<Endpoint>,
    /// The identity of this daemon.
    pub identity: Arc<Identity>,
    /// The opener of letters.
    pub opener: Arc<LetterOpener>,
    /// The notification about changes of boxes.
    pub wake: Arc<Wake>,
}

/// The reason for which a round with a provider ended.
#[derive(Debug, Error)]
enum RoundError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("the daemon's store failed, or it stops")]
    Engine,
    #[error("the provider was not reached")]
    Dial(PathFailure),
    #[error("the provider ended the session")]
    Ended(PathFailure),
    /// The box needs no further rounds.
    #[error("the box is gone")]
    Gone,
}

impl From<Refusal> for RoundError {
    fn from(_: Refusal) -> Self {
        Self::Engine
    }
}

impl From<SessionError> for RoundError {
    fn from(error: SessionError) -> Self {
        Self::Provider(error.into())
    }
}

impl Collector {
    /// Runs a task for every own box until the daemon stops.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks: HashMap<BoxRowId, JoinHandle<()>> = HashMap::new();
        let mut boxes = self.wake.boxes();
        loop {
            let wanted = boxes.borrow_and_update().clone();
            let wanted = wanted.as_deref().unwrap_or_default();
            let rows = wanted.iter().map(|wanted| wanted.row.row).collect();
            self.reconcile(&mut tasks, rows);
            tokio::select! {
                () = stop.cancelled() => break,
                // The sender lives as long as this task.
                _ = boxes.changed() => {}
            }
        }
        for task in tasks.into_values() {
            task.abort();
        }
    }

    /// Aborts the tasks of boxes that are gone, and starts those that are missing or have ended.
    fn reconcile(
        self: &Arc<Self>,
        tasks: &mut HashMap<BoxRowId, JoinHandle<()>>,
        rows: HashSet<BoxRowId>,
    ) {
        tasks.retain(|row, task| {
            let stays = rows.contains(row) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for row in rows {
            let keep = || tokio::spawn(self.clone().keep(row));
            tasks.entry(row).or_insert_with(keep);
        }
    }

    /// Keeps a session for one box, with exponential backoff after failures.
    async fn keep(self: Arc<Self>, row: BoxRowId) {
        let mut failures = 0_u32;
        let mut health = BoxHealth::default();
        let mut asked = self.wake.collect.subscribe();
        let mut changed = self.wake.boxes();
        loop {
            changed.mark_unchanged();
            let end = match self.wake.wanted_box(row).map(|wanted| wanted.row) {
                // Waits until the user asks again.
                Some(mailbox) if mailbox.state == MailboxState::Refused => {
                    let _ = changed.changed().await;
                    continue;
                }
                // A change from here on is noticed in the round.
                Some(mailbox) => self.quiet_round(&mailbox, &mut health, &mut changed).await,
                None => return,
            };
            let was_up = std::mem::take(&mut health.online);
            // If this daemon can't store letters, the provider must not push them again and again.
            let could_store = !matches!(end, Err(RoundError::Engine));
            failures = if was_up && could_store {
                0
            } else {
                failures.saturating_add(1)
            };
            match end {
                Err(RoundError::Gone) | Ok(()) => {}
                Err(error) => {
                    health.failures += 1;
                    health.failure = reason(&error);
                    tracing::debug!(%error, "a session with a provider ended");
                }
            }
            self.tell_health(row, health).await;
            tokio::select! {
                () = sleep(BACKOFF.pause(failures, jitter())) => {}
                _ = asked.changed() => {}
            }
        }
    }

    /// Runs a round that gives way to deposits at the same provider.
    async fn quiet_round(
        &self,
        mailbox: &MailboxRow,
        health: &mut BoxHealth,
        changed: &mut BoxesWatch,
    ) -> Result<(), RoundError> {
        let provider = &mailbox.provider;
        if self.wake.quiet_over(provider).await {
            sleep(BACKOFF.pause(2, jitter())).await;
        }
        tokio::select! {
            end = self.round(mailbox, health, changed) => end,
            () = self.wake.quiet_wanted(provider) => Ok(()),
        }
    }

    async fn tell_health(&self, row: BoxRowId, health: BoxHealth) {
        let told = self.engine.cast(MailboxInput::Health(row, health));
        if told.await.is_err() {
            tracing::debug!("the engine is gone");
        }
    }

    /// Runs one session: registers or removes the box, then collects until the session ends.
    async fn round(
        &self,
        mailbox: &MailboxRow,
        health: &mut BoxHealth,
        changed: &mut BoxesWatch,
    ) -> Result<(), RoundError> {
        let mut session = self.dial(mailbox).await?;
        let state = self.enter(&mut session, mailbox).await;
        let state = state.map_err(|error| match error {
            RoundError::Provider(ProviderError::Session(_)) => {
                RoundError::Ended(lost(session.handle().close_reason()))
            }
            other => other,
        })?;
        let open = state.open;
        self.tell_state(mailbox, state).await?;
        if mailbox.state == MailboxState::Leaving || !open {
            session.close();
            return Err(RoundError::Gone);
        }
        *health = BoxHealth {
            online: true,
            failure: None,
            ..*health
        };
        self.tell_health(mailbox.row, *health).await;
        self.collect(&mut session, mailbox, health, changed).await
    }

    /// Reports a box's state, which the provider answered when it was told the box's key.
    async fn tell_state(&self, mailbox: &MailboxRow, state: BoxState) -> Result<(), RoundError> {
        let (row, key) = (mailbox.row, mailbox.key.clone());
        let told = self
            .engine
            .call(|reply| MailboxInput::State(row, state, key, reply));
        Ok(told.await?)
    }

    async fn dial(&self, mailbox: &MailboxRow) -> Result<OwnerSession, RoundError> {
        let dialled = race::of_addresses(&mailbox.addresses, |address| {
            let credential = Credential::Identity(self.identity.clone());
            let (provider, purpose) = (mailbox.provider, Purpose::Mailbox);
            self.endpoint
                .dial_for(address, provider, credential, purpose, DIAL_WITHIN)
        });
        match dialled.await {
            Ok(session) => Ok(OwnerSession::new(session)),
            Err(failure) => Err(RoundError::Dial(
                failure.map_or(PathFailure::NoPath, of_dial),
            )),
        }
    }

    /// Registers, removes or opens the box, depending on its state.
    async fn enter(
        &self,
        session: &mut OwnerSession,
        mailbox: &MailboxRow,
    ) -> Result<BoxState, RoundError> {
        if mailbox.state == MailboxState::Leaving {
            return Ok(session.ask(Request::Remove).await?);
        }
        // The engine draws a key before it wants a session.
        let key = mailbox.key.clone().ok_or(RoundError::Gone)?;
        if let Some(token) = &mailbox.invite_token {
            let register = registration(session.handle(), token, key.clone())?;
            let state = session.ask(register).await?;
            if !state.open {
                return Ok(state);
            }
        }
        Ok(session.ask(Request::Open(key)).await?)
    }

    /// Stores letters as they arrive, and tells the provider a new key.
    async fn collect(
        &self,
        session: &mut OwnerSession,
        mailbox: &MailboxRow,
        health: &mut BoxHealth,
        changed: &mut BoxesWatch,
    ) -> Result<(), RoundError> {
        let mut mailbox = mailbox.clone();
        let mut fresh = true;
        let mut asked = self.wake.collect.subscribe();
        loop {
            let quiet = if fresh { QUIET } else { Duration::MAX };
            tokio::select! {
                letter = timeout(quiet, session.letter()) => match letter {
                    Ok(letter) => {
                        let taken = self.take_some(session, letter?).await?;
                        health.taken += taken;
                        fresh = true;
                    }
                    Err(_) => {
                        health.rounds += 1;
                        self.tell_health(mailbox.row, *health).await;
                        fresh = false;
                    }
                },
                _ = changed.changed() => match self.wake.wanted_box(mailbox.row) {
                    Some(wanted) if wanted.row.state == MailboxState::Open => {
                        mailbox = self.tell_key(session, mailbox, wanted.row).await?;
                    }
                    // The next round handles the new state.
                    _ => {
                        session.close();
                        return Ok(());
                    }
                },
                _ = asked.changed() => fresh = true,
            }
        }
    }

    /// Tells the provider the key of a box if it has changed. Returns the new row.
    async fn tell_key(
        &self,
        session: &mut OwnerSession,
        before: MailboxRow,
        now: MailboxRow,
    ) -> Result<MailboxRow, RoundError> {
        if let Some(key) = now.key.clone()
            && now.key != before.key
        {
            let state = session.ask(Request::Open(key)).await?;
            self.tell_state(&now, state).await?;
        }
        Ok(now)
    }

    /// Stores a letter and the letters that arrived with it, then tells the provider to delete
    /// them.
    async fn take_some(
        &self,
        session: &mut OwnerSession,
        first: Letter,
    ) -> Result<u64, RoundError> {
        let mut nonces = Vec::new();
        let mut next = Some(first);
        while let Some(letter) = next.take() {
            nonces.push(letter.nonce);
            self.opener.take(letter).await?;
            if nonces.len() < TAKEN_AT_ONCE {
                next = arrived(session).await?;
            }
        }
        let count = nonces.len() as u64;
        session.tell(Request::Taken(nonces)).await?;
        Ok(count)
    }
}

/// Returns the request that registers a box with an invitation.
fn registration(
    handle: &SessionHandle,
    token: &Secret<16>,
    key: BoxKey,
) -> Result<Request, SessionError> {
    let proof_key = handle.exporter(PROOF_EXPORT_LABEL, &[])?;
    Ok(Request::Register {
        invite_id: *InviteId::of(token).as_bytes(),
        proof: proof(token, &proof_key),
        key,
    })
}

/// Returns the next letter if it has arrived already.
async fn arrived(session: &mut OwnerSession) -> Result<Option<Letter>, ProviderError> {
    let next = timeout(Duration::ZERO, session.letter()).await;
    next.ok().transpose()
}

fn jitter() -> u32 {
    UnwrapErr(getrandom::SysRng).next_u32()
}

/// Returns why a round ended; `None` if that is no failure.
const fn reason(error: &RoundError) -> Option<PathFailure> {
    match error {
        RoundError::Dial(reason) | RoundError::Ended(reason) => Some(*reason),
        RoundError::Provider(ProviderError::NoAnswer) => Some(PathFailure::NoAnswer),
        RoundError::Provider(ProviderError::Misbehaved) => Some(PathFailure::ProviderMisbehaved),
        RoundError::Provider(ProviderError::Session(_)) => Some(PathFailure::SessionLost),
        RoundError::Engine | RoundError::Gone => None,
    }
}
