//! Pushes the letters of a box to its owner: those in the box, then each as it is stored.

use super::window::{Next, Window};
use super::{MailboxServer, SessionEnd};
use bytes::Bytes;
use m2_crypto::PeerId;
use m2_crypto::deposit::DepositNonce;
use m2_net::frame::FrameSender;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Letter, Mailbox};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The bytes of letters that are read from the store at once.
const PAGE: usize = 256 << 10;
/// The interval at which the box is checked again. The store notifies of every letter; this bounds
/// the delay of a missed one.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// The letters of one owner's session. One task pushes them, another processes the owner's
/// requests.
pub(super) struct Letters<'a> {
    server: &'a MailboxServer,
    owner: PeerId,
    sender: FrameSender,
    window: Mutex<Window>,
    open: AtomicBool,
    /// Notified when the box is opened or the window has room again. Only the pushing task waits
    /// for it.
    changed: Notify,
}

impl<'a> Letters<'a> {
    pub(super) fn new(server: &'a MailboxServer, owner: PeerId, sender: FrameSender) -> Self {
        Self {
            server,
            owner,
            sender,
            window: Mutex::default(),
            open: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Starts or stops pushing letters.
    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Records that letters were deleted, which makes room for others.
    pub(super) fn taken(&self, nonces: &[DepositNonce]) {
        self.window().taken(nonces);
        self.changed.notify_one();
    }

    /// Pushes letters until the session ends.
    pub(super) async fn push(&self) -> Result<Infallible, SessionEnd> {
        while !self.is_open() {
            self.changed.notified().await;
        }
        // Subscribes before the first page is read, so that no letter is missed.
        let mut arrivals = self.server.store.subscribe(self.owner);
        loop {
            self.push_all().await?;
            // A notification and the timeout both mean to read the box again.
            let _ = timeout(LOOK_AGAIN, arrivals.changed()).await;
            while !self.is_open() {
                self.changed.notified().await;
            }
        }
    }

    /// Pushes every letter in the box that was not sent yet in this session.
    async fn push_all(&self) -> Result<(), SessionEnd> {
        let mut after = None;
        loop {
            self.window().begin_page();
            let page = self.server.store.letters(self.owner, after, PAGE).await;
            let page = page.map_err(|error| self.server.failed(&error))?;
            for (nonce, sealed) in page.letters {
                self.push_one(nonce, sealed).await?;
            }
            after = page.next;
            if after.is_none() || !self.is_open() {
                return Ok(());
            }
        }
    }

    async fn push_one(&self, nonce: DepositNonce, sealed: Bytes) -> Result<(), SessionEnd> {
        while self.is_open() {
            let next = self.window().offer(nonce, sealed.len());
            match next {
                Next::Skip => return Ok(()),
                Next::Wait => self.changed.notified().await,
                Next::Send => {
                    let letter = Mailbox::Letter(Letter { nonce, sealed });
                    let message = Message::Mailbox(Box::new(letter));
                    return Ok(self.sender.send(message).await?);
                }
            }
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // A panic under this lock leaves no partial update.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
