//! Being somebody's mailbox: sessions with the owners of boxes and with those who deposit
//! (spec §9, `docs/spec/mailbox.md`).
//!
//! Nothing here knows who a letter is for but by its box, and nothing who it is from. What is
//! counted names nobody.

mod deposits;
mod housekeeping;
mod letters;
mod limits;
mod owner;
mod seats;
mod window;

pub use limits::ServerLimits;

use super::store::{MailboxError, MailboxStore, Totals};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::engine::EngineHandle;
use m2_crypto::PeerId;
use m2_net::prefix::Prefix;
use m2_net::session::{CloseCode, Session, SessionError, SessionHandle};
use m2_net::shares::WhenEven;
use seats::{Lost, Seat, Seats, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Letters of all depositors that may wait for the store, in KiB.
const WAITING_KIB: usize = 64 << 10;
/// Sessions of peers without a box, which may do nothing but register one.
const MAX_GUESTS: usize = 64;
/// How long the store may take to say what it holds.
const COUNT_WITHIN: Duration = Duration::from_secs(2);

/// The mailbox role. But for the sessions, its state is in the store.
pub struct MailboxServer {
    store: Arc<dyn MailboxStore>,
    engine: EngineHandle,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
    limits: ServerLimits,
    owners: Seats<SessionHandle>,
    guests: Seats<SessionHandle>,
    depositors: Seats<SessionHandle>,
    /// A permit is a KiB of a letter that waits for the store.
    waiting: Arc<Semaphore>,
    /// One registration at a time, so that an invitation for one makes one box.
    registering: Mutex<()>,
    /// Letters stored since the start.
    deposited: AtomicU64,
}

/// How the role does.
#[derive(Debug, Clone, Copy)]
pub struct ServerHealth {
    /// What the store holds; none when it does not answer.
    pub totals: Option<Totals>,
    /// Letters that were stored since the start.
    pub deposited: u64,
}

/// Why a session with an owner or a depositor ends.
#[derive(Debug, thiserror::Error)]
enum SessionEnd {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("nothing came for too long")]
    Idle,
    #[error("the peer broke the protocol")]
    Misbehaved,
    #[error("there are too many")]
    Crowded,
    #[error("the store does not answer")]
    Unavailable,
}

impl MailboxServer {
    /// A server over `store`, whose boxes hold what `limits` say.
    pub fn new(
        store: Arc<dyn MailboxStore>,
        engine: EngineHandle,
        clock: Arc<Clock>,
        counters: Arc<Counters>,
        limits: ServerLimits,
    ) -> Self {
        Self {
            store,
            engine,
            clock,
            counters,
            owners: Seats::new(limits.owners, WhenFull::Refuse),
            guests: Seats::new(MAX_GUESTS, WhenFull::Share(WhenEven::Replace)),
            depositors: Seats::new(limits.depositors, WhenFull::Share(WhenEven::Refuse)),
            waiting: Arc::new(Semaphore::new(WAITING_KIB)),
            registering: Mutex::new(()),
            deposited: AtomicU64::new(0),
            limits,
        }
    }

    /// How it does now.
    pub async fn health(&self) -> ServerHealth {
        let totals = timeout(COUNT_WITHIN, self.store.totals()).await;
        ServerHealth {
            totals: totals.ok().and_then(Result::ok),
            deposited: self.deposited.load(Ordering::Relaxed),
        }
    }

    /// Serves a session whose peer wants its box, until it ends.
    pub async fn serve_owner(&self, peer: PeerId, session: Session) {
        let handle = SessionHandle::clone(&session);
        let end = match self.check_store() {
            Ok(()) => owner::serve(self, peer, session).await,
            Err(end) => end,
        };
        self.close(&handle, end);
    }

    /// Serves a session that may only deposit, until it ends.
    pub async fn serve_anonymous(&self, session: Session) {
        let handle = SessionHandle::clone(&session);
        let place = self.check_store().and_then(|()| {
            let reason = "MAILBOX_DEPOSITORS_TOO_MANY";
            self.seat(&self.depositors, None, &handle, reason)
        });
        let end = match place {
            Ok(_place) => deposits::serve(self, session).await,
            Err(end) => end,
        };
        self.close(&handle, end);
    }

    /// Erases what was deleted and deletes what is due, until the daemon stops.
    pub async fn keep_house(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = housekeeping::run(&*self.store, &self.clock, &self.counters) => {}
        }
    }

    /// Nobody has to wait for a store that was never there.
    fn check_store(&self) -> Result<(), SessionEnd> {
        if self.store.is_reached() {
            return Ok(());
        }
        self.counters.count("MAILBOX_STORE_NOT_REACHED");
        Err(SessionEnd::Unavailable)
    }

    /// Returns a place among the sessions of `seats`; a peer's older one goes. Without one the
    /// session is counted as `refused`.
    fn seat(
        &self,
        seats: &Seats<SessionHandle>,
        peer: Option<PeerId>,
        handle: &SessionHandle,
        refused: &'static str,
    ) -> Result<Seat<SessionHandle>, SessionEnd> {
        let prefix = Prefix::of(handle.remote_address().ip());
        let Some((seat, gone)) = seats.take(peer, prefix, handle.clone()) else {
            return Err(self.crowded(refused));
        };
        match gone {
            Some((gone, Lost::Replaced)) => {
                self.counters.count("MAILBOX_SESSION_REPLACED");
                gone.close(CloseCode::Replaced);
            }
            Some((gone, Lost::Shared)) => {
                self.counters.count("MAILBOX_SESSION_TAKEN_FOR_OTHERS");
                gone.close(CloseCode::Refused);
            }
            None => {}
        }
        Ok(seat)
    }

    fn crowded(&self, reason: &'static str) -> SessionEnd {
        self.counters.count(reason);
        SessionEnd::Crowded
    }

    fn misbehaved(&self, reason: &'static str) -> SessionEnd {
        self.counters.count(reason);
        SessionEnd::Misbehaved
    }

    fn failed(&self, error: &MailboxError) -> SessionEnd {
        tracing::debug!(%error, "the mailbox store failed");
        self.counters.count("MAILBOX_STORE_FAILED");
        SessionEnd::Unavailable
    }

    fn close(&self, handle: &SessionHandle, end: SessionEnd) {
        tracing::debug!(%end, "a mailbox session ended");
        handle.close(match end {
            SessionEnd::Session(_) => CloseCode::Done,
            SessionEnd::Idle => {
                self.counters.count("MAILBOX_IDLE");
                CloseCode::Done
            }
            SessionEnd::Misbehaved => CloseCode::Misbehaved,
            SessionEnd::Crowded => CloseCode::Refused,
            SessionEnd::Unavailable => CloseCode::Unavailable,
        });
    }
}
