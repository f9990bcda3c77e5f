//! The sender's side: brings letters to providers, each in an anonymous session of its own, so
//! that a provider can't tell which letters have one sender (spec §9).

use super::wake::Wake;
use crate::clock::Clock;
use crate::engine::{DepositEnd, DepositJob, EngineHandle};
use crate::network::{Direct, DirectError};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use m2_crypto::handshake::Credential;
use m2_net::endpoint::Endpoint;
use m2_net::session::{CloseCode, Ended, Session};
use m2_net::wire::mailbox::{Deposit, Letter, LetterId, Mailbox};
use m2_net::wire::{Message, Purpose};
use rand_core::{Rng, UnwrapErr};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Deposits under way at once.
const AT_ONCE: usize = 4;
/// How long a dial may take, and an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// How long our own provider hears nothing of us before a deposit, and up to twice that.
const LEAVE_FOR: Duration = Duration::from_secs(2);
/// How long to wait when the engine could not say what to do, in milliseconds.
const RETRY_MS: u64 = 5_000;
/// How long to wait when the engine names no time.
const LONG: Duration = Duration::from_secs(3_600);

/// Binds sockets that are used for nothing else.
type Bind = Box<dyn Fn() -> io::Result<Endpoint> + Send + Sync>;

/// Brings letters to providers.
pub struct Depositor {
    engine: EngineHandle,
    wake: Arc<Wake>,
    clock: Arc<Clock>,
    direct: Direct,
    bind: Bind,
    /// Bound by the first deposit: most daemons never have one.
    endpoint: OnceCell<Endpoint>,
}

impl Depositor {
    /// A depositor of the letters that `engine` has. `bind` makes its sockets.
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
            endpoint: OnceCell::new(),
        }
    }

    /// Deposits until the daemon stops.
    pub async fn run(self, stop: CancellationToken) {
        let mut running = FuturesUnordered::new();
        loop {
            let woken = self.wake.letters.notified();
            let room = AT_ONCE - running.len().min(AT_ONCE);
            let mut pause = LONG;
            if room > 0 {
                let limit = u32::try_from(room).unwrap_or(1);
                let next = self.engine.call(move |engine| engine.next_deposits(limit));
                // A store that can't be written now can later.
                let (jobs, due) = match next.await {
                    Ok(next) => next,
                    Err(_) => (Vec::new(), Some(self.clock.now_ms() + RETRY_MS)),
                };
                pause = due.map_or(LONG, |due| {
                    let wait = due.saturating_sub(self.clock.now_ms());
                    Duration::from_millis(wait.max(20))
                });
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

    async fn deposit(&self, job: DepositJob) {
        let id = job.id;
        let _quiet = self.wake.quiet(job.provider);
        self.leave_own_provider(&job).await;
        let end = match self.dial(&job).await {
            Ok(session) => hand_over(session, job).await,
            Err(reason) => DepositEnd::Failed(reason),
        };
        let told = self
            .engine
            .call(move |engine| engine.deposit_ended(&id, end));
        if told.await.is_err() {
            tracing::debug!("the engine did not take the end of a deposit");
        }
    }

    /// Lets some time pass between the end of a session of our own and a deposit at the same
    /// provider.
    async fn leave_own_provider(&self, job: &DepositJob) {
        let provider = job.provider;
        let ours = self
            .engine
            .read(move |engine| engine.is_provider(&provider));
        if ours.await.unwrap_or(true) {
            let chance = f64::from(UnwrapErr(getrandom::SysRng).next_u32()) / f64::from(u32::MAX);
            sleep(LEAVE_FOR + LEAVE_FOR.mul_f64(chance)).await;
        }
    }

    async fn dial(&self, job: &DepositJob) -> Result<Session, &'static str> {
        let endpoint = self
            .endpoint
            .get_or_try_init(|| async { (self.bind)() })
            .await
            .map_err(|_| "NO_SOCKET")?;
        let mut failure = DirectError::NotAdmitted.reason();
        for address in self.direct.admitted(&job.addresses) {
            match self.dial_at(endpoint, job, address).await {
                Ok(session) => return Ok(session),
                Err(error) => failure = error.reason(),
            }
        }
        Err(failure)
    }

    /// Within the budget of the contact that named the provider.
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

/// Gives the letter to the provider and waits for its word.
async fn hand_over(mut session: Session, job: DepositJob) -> DepositEnd {
    let deposit = Mailbox::Deposit(Deposit {
        owner: job.owner,
        token: job.token,
        letter: Letter {
            id: job.id,
            sealed: job.sealed.into(),
        },
    });
    let answered = timeout(WITHIN, async {
        session
            .send_frame(Message::Mailbox(Box::new(deposit)))
            .await?;
        session.recv_frame().await
    });
    let end = match answered.await {
        Ok(Ok(Message::Mailbox(answer))) => outcome(&answer, &job.id),
        Ok(Ok(_)) => DepositEnd::Failed("PROVIDER_MISBEHAVED"),
        Ok(Err(_)) => DepositEnd::Failed(lost(session.close_reason())),
        Err(_) => DepositEnd::Failed("NO_ANSWER"),
    };
    session.split().0.close(CloseCode::Done);
    end
}

/// Why a session with a provider broke.
pub(super) fn lost(ended: Option<Ended>) -> &'static str {
    match ended {
        Some(Ended::ByPeer(code)) if code == CloseCode::Unavailable as u64 => {
            "PROVIDER_UNAVAILABLE"
        }
        Some(Ended::ByPeer(code)) if code == CloseCode::Refused as u64 => "PROVIDER_REFUSED",
        _ => "SESSION_LOST",
    }
}

fn outcome(answer: &Mailbox, wanted: &LetterId) -> DepositEnd {
    match answer {
        Mailbox::Deposited { id, outcome } if id == wanted => DepositEnd::Answered(*outcome),
        _ => DepositEnd::Failed("PROVIDER_MISBEHAVED"),
    }
}
