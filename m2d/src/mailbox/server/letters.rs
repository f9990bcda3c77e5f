//! Pushes the letters of a box to its owner, now and as they come.

use super::window::{Next, Window};
use super::{MailboxServer, SessionEnd};
use bytes::Bytes;
use m2_crypto::PeerId;
use m2_net::frame::FrameSender;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Letter, LetterId, Mailbox};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes of letters that are read from the store at once.
const PAGE: usize = 256 << 10;
/// The store tells of every letter; should it miss one, the owner has it this much later.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// The letters of one owner's session. One task pushes, another says what was taken.
pub(super) struct Letters<'a> {
    server: &'a MailboxServer,
    owner: PeerId,
    sender: FrameSender,
    window: Mutex<Window>,
    open: AtomicBool,
    /// The box was opened, or the window has room again. Only the pushing side waits for it.
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

    /// From now on letters are pushed, or none any more.
    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// These are deleted: others may follow.
    pub(super) fn taken(&self, ids: &[LetterId]) {
        self.window().taken(ids);
        self.changed.notify_one();
    }

    /// Pushes as long as the session stands.
    pub(super) async fn push(&self) -> Result<Infallible, SessionEnd> {
        while !self.is_open() {
            self.changed.notified().await;
        }
        // Before the first look, so that nothing comes in between.
        let mut arrivals = self.server.store.subscribe(self.owner);
        loop {
            self.push_all().await?;
            // Neither a letter nor the time matters: both mean to look.
            let _ = timeout(LOOK_AGAIN, arrivals.changed()).await;
            while !self.is_open() {
                self.changed.notified().await;
            }
        }
    }

    /// Everything that is in the box and was not sent yet.
    async fn push_all(&self) -> Result<(), SessionEnd> {
        let mut after = None;
        loop {
            self.window().begin_page();
            let page = self.server.store.letters(self.owner, after, PAGE).await;
            let page = page.map_err(|error| self.server.failed(&error))?;
            for (id, sealed) in page.letters {
                self.push_one(LetterId(id), sealed).await?;
            }
            after = page.next;
            if after.is_none() || !self.is_open() {
                return Ok(());
            }
        }
    }

    async fn push_one(&self, id: LetterId, sealed: Bytes) -> Result<(), SessionEnd> {
        while self.is_open() {
            let next = self.window().offer(id, sealed.len());
            match next {
                Next::Skip => return Ok(()),
                Next::Wait => self.changed.notified().await,
                Next::Send => {
                    let letter = Mailbox::Letter(Letter { id, sealed });
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
        // Nothing is ever half done under this lock.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
