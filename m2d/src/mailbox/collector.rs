//! The owner's side: a permanent session with each provider, over which letters are pushed.

use super::depositor::lost;
use super::opener::LetterOpener;
use super::owner_session::{OwnerSession, ProviderError};
use super::tokens::refill;
use super::wake::{BoxesWatch, Wake};
use crate::connect::of_dial;
use crate::driver::EngineHandle;
use m2_core::PathFailure;
use m2_crypto::handshake::Credential;
use m2_crypto::invitation::{InviteId, PROOF_EXPORT_LABEL, proof};
use m2_crypto::{Identity, PeerId};
use m2_engine::BoxHealth;
use m2_engine::MailboxInput;
use m2_engine::Refusal;
use m2_limits::backoff::Backoff;
use m2_net::endpoint::Endpoint;
use m2_net::race;
use m2_net::session::SessionError;
use m2_net::wire::Purpose;
use m2_net::wire::mailbox::{Answer, BoxState, LetterId, MAX_TOKENS, Request};
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
/// After this time without a letter, all waiting letters are assumed to be collected, and tokens
/// are refilled.
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
    /// The peer id of this daemon, under which its boxes are registered.
    pub own_id: PeerId,
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
            let rows: HashSet<BoxRowId> = wanted.iter().map(|wanted| wanted.row.row).collect();
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
            failures = if was_up {
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
        let (row, told) = (mailbox.row, state.clone());
        self.engine
            .call(|reply| MailboxInput::State(row, told, reply))
            .await?;
        if mailbox.state == MailboxState::Leaving || !state.open {
            session.close();
            return Err(RoundError::Gone);
        }
        *health = BoxHealth {
            online: true,
            failure: None,
            ..*health
        };
        self.tell_health(row, *health).await;
        let max_tokens = state.max_tokens;
        self.collect(&mut session, (row, max_tokens), health, changed)
            .await
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
        let request = match (mailbox.state, &mailbox.invite_token) {
            (MailboxState::Leaving, _) => Request::Remove,
            (_, Some(token)) => {
                let key = session.handle().exporter(PROOF_EXPORT_LABEL, &[])?;
                let register = Request::Register {
                    invite_id: *InviteId::of(token).as_bytes(),
                    proof: proof(token, &key),
                };
                match session.ask(register).await? {
                    Answer::State(state) if state.open => Request::Open,
                    Answer::State(state) => return Ok(state),
                    _ => return Err(ProviderError::Misbehaved.into()),
                }
            }
            _ => Request::Open,
        };
        match session.ask(request).await? {
            Answer::State(state) => Ok(state),
            _ => Err(ProviderError::Misbehaved.into()),
        }
    }

    /// Stores letters as they arrive. Refills tokens each time no letter has arrived for a while.
    async fn collect(
        &self,
        session: &mut OwnerSession,
        (row, max_tokens): (BoxRowId, u32),
        health: &mut BoxHealth,
        changed: &mut BoxesWatch,
    ) -> Result<(), RoundError> {
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
                        self.refill(session, row, max_tokens).await?;
                        health.rounds += 1;
                        self.tell_health(row, *health).await;
                        fresh = false;
                    }
                },
                _ = changed.changed() => match self.wake.wanted_box(row) {
                    Some(wanted) if wanted.row.state == MailboxState::Open => fresh = true,
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

    /// Stores a letter and the letters that arrived with it, then tells the provider to delete
    /// them.
    async fn take_some(
        &self,
        session: &mut OwnerSession,
        first: m2_net::wire::mailbox::Letter,
    ) -> Result<u64, RoundError> {
        let mut ids: Vec<LetterId> = Vec::new();
        let mut next = Some(first);
        while let Some(letter) = next.take() {
            self.opener.take(letter.sealed).await?;
            ids.push(letter.id);
            if ids.len() < TAKEN_AT_ONCE {
                next = timeout(Duration::ZERO, session.letter())
                    .await
                    .ok()
                    .transpose()?;
            }
        }
        let count = ids.len() as u64;
        session.tell(Request::Taken(ids)).await?;
        Ok(count)
    }

    /// Updates the deposit tokens that the provider holds.
    async fn refill(
        &self,
        session: &mut OwnerSession,
        row: BoxRowId,
        max_tokens: u32,
    ) -> Result<(), RoundError> {
        let unused = list_tokens(session, max_tokens).await?;
        let wanted = self.wake.wanted_box(row).ok_or(RoundError::Gone)?;
        let mut plan = refill(&self.own_id, wanted.grants, &unused, max_tokens as usize);
        // The order of the tokens would reveal which of them belong to one contact.
        shuffle(&mut plan.add);
        let mut done = true;
        for hashes in plan.remove.chunks(MAX_TOKENS) {
            done &= change(session, Request::RemoveTokens(hashes.to_vec())).await?;
        }
        for hashes in plan.add.chunks(MAX_TOKENS) {
            done &= change(session, Request::AddTokens(hashes.to_vec())).await?;
        }
        if done {
            let grants = plan.grants;
            self.engine
                .call(|reply| MailboxInput::TokensRegistered(grants, reply))
                .await?;
        }
        Ok(())
    }
}

async fn change(session: &mut OwnerSession, request: Request) -> Result<bool, ProviderError> {
    match session.ask(request).await? {
        Answer::TokensChanged { done, .. } => Ok(done),
        _ => Err(ProviderError::Misbehaved),
    }
}

async fn list_tokens(
    session: &mut OwnerSession,
    max_tokens: u32,
) -> Result<HashSet<m2_crypto::mailbox::TokenHash>, ProviderError> {
    let mut all = HashSet::new();
    let mut answer = session.ask(Request::ListTokens).await?;
    loop {
        let Answer::Tokens { hashes, last } = answer else {
            return Err(ProviderError::Misbehaved);
        };
        all.extend(hashes);
        if all.len() > max_tokens as usize {
            return Err(ProviderError::Misbehaved);
        }
        if last {
            return Ok(all);
        }
        answer = session.answer().await?;
    }
}

/// Shuffles `items` (Fisher-Yates).
fn shuffle<T>(items: &mut [T]) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    for last in (1..items.len()).rev() {
        let other = (rng.next_u64() % (last as u64 + 1)) as usize;
        items.swap(last, other);
    }
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
