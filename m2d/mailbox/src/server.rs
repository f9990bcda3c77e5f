//! The mailbox role: sessions with owners of boxes and with depositors (docs/spec/mailbox.md).
//!
//! The server knows the recipient of a letter only by its box, and does not know the sender.
//! Counters contain no peer ids.

mod deposits;
mod housekeeping;
mod letters;
mod limits;
mod owner;
mod session_slots;
mod window;

pub use limits::ServerLimits;

use crate::Invitations;
use crate::store::{MailboxError, MailboxStore, Totals};
use m2_crypto::PeerId;
use m2_limits::counters::Counters;
use m2_limits::prefix::Prefix;
use m2_limits::shares::WhenEven;
use m2_net::clock::Clock;
use m2_net::session::{CloseCode, Session, SessionError, SessionHandle};
use m2_sqlite::Fault;
use session_slots::{Lost, SessionSlots, SlotGuard, WhenFull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The maximum size of letters of all depositors that wait for the store, in KiB.
const WAITING_KIB: usize = 64 << 10;
/// The maximum number of sessions of peers without a box, which may only register one.
const MAX_GUESTS: usize = 64;
/// The timeout for the store's totals.
const COUNT_WITHIN: Duration = Duration::from_secs(2);

/// The mailbox role. Apart from sessions, its state is in the store.
pub struct MailboxServer {
    store: Arc<dyn MailboxStore>,
    invitations: Arc<dyn Invitations>,
    clock: Clock,
    counters: Arc<Counters>,
    limits: ServerLimits,
    owners: SessionSlots<SessionHandle>,
    guests: SessionSlots<SessionHandle>,
    depositors: SessionSlots<SessionHandle>,
    /// A permit stands for one KiB of a letter that waits for the store.
    waiting: Arc<Semaphore>,
    /// Serialises registrations, so that a single-use invitation creates one box.
    registering: Mutex<()>,
    /// The number of letters stored since the start.
    deposited: AtomicU64,
}

/// The state of the mailbox role.
#[derive(Debug, Clone, Copy)]
pub struct ServerHealth {
    /// The totals of the store; `None` if it does not answer.
    pub totals: Option<Totals>,
    /// The number of letters stored since the start.
    pub deposited: u64,
    /// The fault of the store's file.
    pub fault: Option<Fault>,
}

/// The reason for which a session with an owner or a depositor ended.
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
    /// Returns a server that keeps boxes in `store`, within `limits`.
    pub fn new(
        store: Arc<dyn MailboxStore>,
        invitations: Arc<dyn Invitations>,
        clock: Clock,
        counters: Arc<Counters>,
        limits: ServerLimits,
    ) -> Self {
        Self {
            store,
            invitations,
            clock,
            counters,
            owners: SessionSlots::new(limits.owners, WhenFull::Refuse),
            guests: SessionSlots::new(MAX_GUESTS, WhenFull::Share(WhenEven::Replace)),
            depositors: SessionSlots::new(limits.depositors, WhenFull::Share(WhenEven::Refuse)),
            waiting: Arc::new(Semaphore::new(WAITING_KIB)),
            registering: Mutex::new(()),
            deposited: AtomicU64::new(0),
            limits,
        }
    }

    /// Returns the current state of the role.
    pub async fn health(&self) -> ServerHealth {
        let totals = timeout(COUNT_WITHIN, self.store.totals()).await;
        ServerHealth {
            totals: totals.ok().and_then(Result::ok),
            deposited: self.deposited.load(Ordering::Relaxed),
            fault: self.store.fault(),
        }
    }

    /// Serves a session of an owner until it ends.
    pub async fn serve_owner(&self, peer: PeerId, session: Session) {
        let handle = SessionHandle::clone(&session);
        let end = match self.check_store() {
            Ok(()) => owner::serve(self, peer, session).await,
            Err(end) => end,
        };
        self.close(&handle, end);
    }

    /// Serves an anonymous session, which may only deposit, until it ends.
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

    /// Purges expired letters and marks, and erases deleted data, until the daemon stops.
    pub async fn run_maintenance(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = housekeeping::run(&*self.store, &self.clock, &self.counters) => {}
        }
    }

    /// Fails immediately if the store has never been reached, so that peers need not wait for a
    /// timeout.
    fn check_store(&self) -> Result<(), SessionEnd> {
        if self.store.is_reached() {
            return Ok(());
        }
        self.counters.count("MAILBOX_STORE_NOT_REACHED");
        Err(SessionEnd::Unavailable)
    }

    /// Assigns a place among the sessions of `session_slots`, and closes an older session of the same peer.
    /// Without a free place, counts the session as `refused`.
    fn seat(
        &self,
        session_slots: &SessionSlots<SessionHandle>,
        peer: Option<PeerId>,
        handle: &SessionHandle,
        refused: &'static str,
    ) -> Result<SlotGuard<SessionHandle>, SessionEnd> {
        let prefix = Prefix::of(handle.remote_address().ip());
        let Some((seat, gone)) = session_slots.take(peer, prefix, handle.clone()) else {
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
