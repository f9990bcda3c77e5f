//! Anonymous sessions that deposit letters.

use super::{MailboxServer, SessionEnd};
use crate::store::{self, Deposited};
use m2_crypto::deposit::DepositNonce;
use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Deposit, Mailbox, Outcome};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The maximum number of concurrent deposits in one session.
const PIPELINE: usize = 64;
/// The idle timeout of a session, also for a peer that does not read answers.
const IDLE: Duration = Duration::from_secs(30);
/// The maximum number of refused deposits in one session. More indicate guessing.
const MAX_REFUSED: u32 = 256;

/// A deposit that the store is processing.
type UnderWay = (
    DepositNonce,
    JoinHandle<Result<Deposited, store::MailboxError>>,
);

/// Serves deposits until the session ends.
pub(super) async fn serve(server: &MailboxServer, session: Session) -> SessionEnd {
    // The handle keeps the session open after its last frame.
    let (_handle, sender, frames) = session.split();
    let (queue, under_way) = mpsc::channel(PIPELINE);
    let mut answering = pin!(answer(server, sender, under_way));
    let end = tokio::select! {
        end = take(server, frames, queue) => end,
        end = &mut answering => return end,
    };
    if let SessionEnd::Session(_) = end {
        // A depositor that has sent everything still gets its answers.
        let _ = timeout(IDLE, answering).await;
    }
    end
}

/// Passes deposits to the store, several concurrently.
async fn take(
    server: &MailboxServer,
    mut frames: FrameReceiver,
    queue: mpsc::Sender<UnderWay>,
) -> SessionEnd {
    loop {
        let message = match timeout(IDLE, frames.recv()).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return error.into(),
            Err(_) => return SessionEnd::Idle,
        };
        let Some(deposit) = deposit_of(message) else {
            return server.misbehaved("MAILBOX_OUT_OF_PLACE");
        };
        let Ok(Ok(place)) = timeout(IDLE, queue.reserve()).await else {
            return SessionEnd::Idle;
        };
        let nonce = *deposit.token.nonce();
        let Some(task) = begin(server, deposit).await else {
            return SessionEnd::Unavailable;
        };
        place.send((nonce, task));
    }
}

fn deposit_of(message: Message) -> Option<Deposit> {
    match message {
        Message::Mailbox(frame) => match *frame {
            Mailbox::Deposit(deposit) => Some(deposit),
            _ => None,
        },
        _ => None,
    }
}

/// Starts a deposit. Waits while the letters of all sessions that the store has not processed
/// exceed the limit.
async fn begin(
    server: &MailboxServer,
    deposit: Deposit,
) -> Option<JoinHandle<Result<Deposited, store::MailboxError>>> {
    let kib = u32::try_from(deposit.sealed.len().div_ceil(1_024)).ok()?;
    let waiting = Arc::clone(&server.waiting).acquire_many_owned(kib).await;
    let place = waiting.ok()?;
    let (store, now) = (Arc::clone(&server.store), server.clock.unix_ms());
    Some(tokio::spawn(async move {
        let deposit = store::Deposit {
            owner: deposit.owner,
            token: deposit.token,
            letter: deposit.sealed,
        };
        let deposited = store.deposit(deposit, now).await;
        drop(place);
        deposited
    }))
}

/// Answers in the order of the deposits.
async fn answer(
    server: &MailboxServer,
    sender: FrameSender,
    mut under_way: mpsc::Receiver<UnderWay>,
) -> SessionEnd {
    let mut refused = 0;
    while let Some((nonce, task)) = under_way.recv().await {
        let outcome = outcome(server, task).await;
        if outcome == Outcome::Refused {
            refused += 1;
        }
        if refused > MAX_REFUSED {
            return SessionEnd::Misbehaved;
        }
        let deposited = Mailbox::Deposited { nonce, outcome };
        let message = Message::Mailbox(Box::new(deposited));
        if let Err(error) = sender.send(message).await {
            return error.into();
        }
    }
    sender.finish().await;
    SessionEnd::Session(m2_net::session::SessionError::Closed)
}

async fn outcome(
    server: &MailboxServer,
    task: JoinHandle<Result<Deposited, store::MailboxError>>,
) -> Outcome {
    let (outcome, reason) = match task.await {
        Ok(Ok(Deposited::Stored)) => {
            server.deposited.fetch_add(1, Ordering::Relaxed);
            return Outcome::Stored;
        }
        Ok(Ok(Deposited::AlreadyThere)) => return Outcome::Stored,
        Ok(Ok(Deposited::Refused)) => (Outcome::Refused, "MAILBOX_DEPOSIT_REFUSED"),
        Ok(Ok(Deposited::BoxFull)) => (Outcome::BoxFull, "MAILBOX_BOX_FULL"),
        Ok(Ok(Deposited::ServerFull)) => (Outcome::ServerFull, "MAILBOX_SERVER_FULL"),
        Ok(Err(_)) | Err(_) => (Outcome::ServerFull, "MAILBOX_STORE_FAILED"),
    };
    server.counters.count(reason);
    outcome
}
