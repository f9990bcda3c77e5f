//! The sender's side: deposits letters at providers, each in a separate anonymous session from a separate
//! socket, so that a provider can't link letters of one sender
//! (docs/spec/mailbox.md#the-depositors-session).

use super::wake::Wake;
use crate::connect::{Direct, DirectError};
use crate::driver::EngineHandle;
use crate::log::Pseudonym;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use m2_core::PathFailure;
use m2_crypto::deposit::DepositNonce;
use m2_crypto::handshake::Credential;
use m2_engine::clock::Clock;
use m2_engine::{DepositEnd, DepositJob, LetterInput, Query, SealedDeposit};
use m2_net::endpoint::Endpoint;
use m2_net::race;
use m2_net::session::{CloseCode, Ended, Session, SessionError};
use m2_net::wire::mailbox::{Deposit, Mailbox};
use m2_net::wire::{Message, Purpose};
use m2_store::MessageRowId;
use rand_core::{Rng, UnwrapErr};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The maximum number of concurrent deposits.
const AT_ONCE: usize = 4;
/// The timeout of a dial, and of the provider's answer.
const WITHIN: Duration = Duration::from_secs(10);
/// If a provider also keeps a box for this daemon: the minimum time between the last session as its
/// owner and a deposit there. A random time of up to the same length is added.
const LEAVE_FOR: Duration = Duration::from_secs(2);
/// How long the end of a deposit's session may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// The delay before the next attempt if the engine returned an error, in milliseconds.
const RETRY_MS: u64 = 5_000;
/// The pause if the engine returns no time.
const LONG: Duration = Duration::from_secs(3_600);

/// Binds sockets for one deposit.
type Bind = Box<dyn Fn() -> io::Result<Endpoint> + Send + Sync>;

/// The deposit task.
pub struct Depositor {
    engine: EngineHandle,
    wake: Arc<Wake>,
    clock: Arc<Clock>,
    direct: Direct,
    bind: Bind,
}

impl Depositor {
    /// Returns a depositor of the engine's letters. `bind` binds the sockets of one deposit.
    pub fn new(
        engine: EngineHandle,
        wake: Arc<Wake>,
        clock: Arc<Clock>,
        direct: Direct,
        bind: impl Fn() -> io::Result<Endpoint> + Send + Sync + 'static,
    ) -> Self {
        Self {
            engine,
            wake,
            clock,
            direct,
            bind: Box::new(bind),
        }
    }

    /// Deposits letters until the daemon stops.
    pub async fn run(self, stop: CancellationToken) {
        let mut running = FuturesUnordered::new();
        loop {
            let woken = self.wake.letters.notified();
            let room = AT_ONCE - running.len().min(AT_ONCE);
            let mut pause = LONG;
            if room > 0 {
                let (jobs, next) = self.next_deposits(room).await;
                pause = next;
                running.extend(jobs.into_iter().map(|job| self.deposit(job)));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = woken => {}
                Some(()) = running.next() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Returns the deposits to start now, at most `room`, and the pause until the next one is due.
    async fn next_deposits(&self, room: usize) -> (Vec<DepositJob>, Duration) {
        let limit = u32::try_from(room).unwrap_or(1);
        let next = self
            .engine
            .call(|reply| LetterInput::NextDeposits(limit, reply));
        // A store that can't be written now may be writable later.
        let (jobs, due) = match next.await {
            Ok(next) => next,
            Err(_) => (Vec::new(), Some(self.clock.now_ms() + RETRY_MS)),
        };
        let pause = due.map_or(LONG, |due| {
            let wait = due.saturating_sub(self.clock.now_ms());
            Duration::from_millis(wait.max(20))
        });
        (jobs, pause)
    }

    async fn deposit(&self, job: DepositJob) {
        let (message, provider) = (job.message, Pseudonym::of(&job.provider));
        tracing::debug!(%provider, "a letter is brought to the recipient's provider");
        let _quiet = self.wake.quiet(job.provider);
        self.leave_own_provider(&job).await;
        let Ok(endpoint) = (self.bind)() else {
            let end = DepositEnd::Failed(PathFailure::NoSocket);
            return self.tell_end(message, None, end).await;
        };
        let ended = match lacks_keys(&endpoint) {
            true => Some((None, DepositEnd::NoKey)),
            false => self.deposit_from(&endpoint, job).await,
        };
        if let Some((nonce, end)) = ended {
            tracing::debug!(%provider, ?end, "a deposit ended");
            self.tell_end(message, nonce, end).await;
        }
        endpoint.close(CLOSE_WITHIN).await;
    }

    async fn tell_end(&self, message: MessageRowId, nonce: Option<DepositNonce>, end: DepositEnd) {
        let told = self
            .engine
            .call(|reply| LetterInput::DepositEnded(message, nonce, end, reply));
        if told.await.is_err() {
            tracing::debug!("the engine did not take the end of a deposit");
        }
    }

    /// Dials the provider, has the letter sealed, and deposits it. Returns the nonce of a sealed letter, and
    /// the outcome; `None` if the letter is not needed any more.
    async fn deposit_from(
        &self,
        endpoint: &Endpoint,
        job: DepositJob,
    ) -> Option<(Option<DepositNonce>, DepositEnd)> {
        let session = match self.dial(endpoint, &job).await {
            Ok(session) => session,
            Err(reason) => return Some((None, DepositEnd::Failed(reason))),
        };
        let Some(sealed) = self.seal(&job).await else {
            session.split().0.close(CloseCode::Done);
            return None;
        };
        let nonce = *sealed.token.nonce();
        let end = hand_over(session, &job, sealed).await;
        Some((Some(nonce), end))
    }

    /// Has the engine seal the letter; `None` if the letter is not needed any more.
    async fn seal(&self, job: &DepositJob) -> Option<SealedDeposit> {
        let (message, provider) = (job.message, job.provider);
        let sealed = self
            .engine
            .call(|reply| LetterInput::Seal(message, provider, reply));
        // After an error the letter is due again when its lease ends.
        sealed.await.ok().flatten()
    }

    /// If the provider also keeps a box for this daemon, waits between the end of the session with
    /// it and the deposit, so that the provider can't link the two.
    async fn leave_own_provider(&self, job: &DepositJob) {
        let provider = job.provider;
        let ours = self.engine.read(|reply| Query::IsProvider(provider, reply));
        if ours.await.unwrap_or(true) {
            let chance = f64::from(UnwrapErr(getrandom::SysRng).next_u32()) / f64::from(u32::MAX);
            sleep(LEAVE_FOR + LEAVE_FOR.mul_f64(chance)).await;
        }
    }

    async fn dial(&self, endpoint: &Endpoint, job: &DepositJob) -> Result<Session, PathFailure> {
        let addresses = self.direct.admitted(&job.addresses);
        let dial = |address| self.dial_at(endpoint, job, address);
        let dialled = race::of_addresses(&addresses, dial).await;
        dialled.map_err(|failure| failure.unwrap_or(DirectError::NotAdmitted).reason())
    }

    /// Dials one address, within the budget of the contact that named it.
    async fn dial_at(
        &self,
        endpoint: &Endpoint,
        job: &DepositJob,
        address: SocketAddr,
    ) -> Result<Session, DirectError> {
        let charge = self.direct.charge(job.owner, job.provider, &[address])?;
        let (anonymous, purpose) = (Credential::Anonymous, Purpose::Peer);
        let dialled = endpoint.dial_counted(
            address,
            job.provider,
            anonymous,
            purpose,
            WITHIN,
            charge.meter(),
        );
        let session = dialled.await.map_err(DirectError::Dial)?;
        self.direct.proved(job.provider, address);
        Ok(session)
    }
}

/// Returns whether the deposits that may run at once would have to wait for session keys.
fn lacks_keys(endpoint: &Endpoint) -> bool {
    let keys = endpoint.stats();
    keys.keys_ready < AT_ONCE.min(keys.keys_wanted / 2)
}

/// Sends the letter to the provider and waits for its answer.
async fn hand_over(mut session: Session, job: &DepositJob, sealed: SealedDeposit) -> DepositEnd {
    let nonce = *sealed.token.nonce();
    let deposit = Mailbox::Deposit(Deposit {
        owner: job.owner,
        token: sealed.token,
        sealed: sealed.sealed.into(),
    });
    let exchange = exchange(&mut session, deposit);
    let end = match timeout(WITHIN, exchange).await {
        Ok(Ok(Message::Mailbox(answer))) => outcome(&answer, &nonce),
        Ok(Ok(_)) => DepositEnd::Failed(PathFailure::ProviderMisbehaved),
        Ok(Err(_)) => DepositEnd::Failed(lost(session.close_reason())),
        Err(_) => DepositEnd::Failed(PathFailure::NoAnswer),
    };
    session.split().0.close(CloseCode::Done);
    end
}

/// Sends a frame and returns the next one of the provider.
async fn exchange(session: &mut Session, frame: Mailbox) -> Result<Message, SessionError> {
    let frame = Message::Mailbox(Box::new(frame));
    session.send_frame(frame).await?;
    session.recv_frame().await
}

/// Returns the reason for which a session with a provider was lost.
pub(super) fn lost(ended: Option<Ended>) -> PathFailure {
    match ended {
        Some(Ended::ByPeer(code)) if code == CloseCode::Unavailable as u64 => {
            PathFailure::ProviderUnavailable
        }
        Some(Ended::ByPeer(code)) if code == CloseCode::Refused as u64 => {
            PathFailure::ProviderRefused
        }
        _ => PathFailure::SessionLost,
    }
}

fn outcome(answer: &Mailbox, wanted: &DepositNonce) -> DepositEnd {
    match answer {
        Mailbox::Deposited { nonce, outcome } if nonce == wanted => DepositEnd::Answered(*outcome),
        _ => DepositEnd::Failed(PathFailure::ProviderMisbehaved),
    }
}
