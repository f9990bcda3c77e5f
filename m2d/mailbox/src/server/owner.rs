//! The session of a box's owner: requests are answered in order.

use super::letters::Letters;
use super::session_slots::SlotGuard;
use super::{MailboxServer, SessionEnd};
use crate::store::Registered;
use m2_crypto::deposit::BoxKey;
use m2_crypto::invitation::PROOF_EXPORT_LABEL;
use m2_crypto::{PeerId, Secret};
use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::session::{Session, SessionHandle};
use m2_net::wire::mailbox::{BoxState, Mailbox, Request};
use m2_net::wire::{InviteProof, Message};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The counter of owners that were refused for lack of a place.
const TOO_MANY_OWNERS: &str = "MAILBOX_OWNERS_TOO_MANY";
/// How long a peer without a box may stay.
const GUEST_TIME: Duration = Duration::from_secs(30);
/// The maximum number of invalid invitations in one session.
const MAX_TRIES: u32 = 8;

/// Serves the session of `peer` until it ends.
pub(super) async fn serve(server: &MailboxServer, peer: PeerId, session: Session) -> SessionEnd {
    let ended: Result<Infallible, SessionEnd> = async {
        let (mut owner, frames) = Owner::new(server, peer, session).await?;
        let letters = Letters::new(server, peer, owner.sender.clone());
        tokio::select! {
            end = owner.requests(frames, &letters) => end,
            end = letters.push() => end,
        }
    }
    .await;
    match ended {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

struct Owner<'a> {
    server: &'a MailboxServer,
    peer: PeerId,
    handle: SessionHandle,
    sender: FrameSender,
    /// The key that binds invitation proofs to this session.
    proof_key: Secret<32>,
    /// The place of the session, among owners or among guests.
    _seat: SlotGuard<SessionHandle>,
    /// The deadline by which a guest must have registered a box.
    guest_until: Option<Instant>,
    tries: u32,
}

impl<'a> Owner<'a> {
    async fn new(
        server: &'a MailboxServer,
        peer: PeerId,
        session: Session,
    ) -> Result<(Self, FrameReceiver), SessionEnd> {
        let (handle, sender, frames) = session.split();
        let there = server.store.has_box(peer).await;
        let there = there.map_err(|error| server.failed(&error))?;
        let session_slots = if there {
            &server.owners
        } else {
            &server.guests
        };
        let owner = Self {
            proof_key: handle.exporter(PROOF_EXPORT_LABEL, &[])?,
            _seat: server.seat(session_slots, Some(peer), &handle, TOO_MANY_OWNERS)?,
            guest_until: (!there).then(|| Instant::now() + GUEST_TIME),
            tries: 0,
            server,
            peer,
            handle,
            sender,
        };
        Ok((owner, frames))
    }

    /// Processes requests one at a time. An owner that sends faster experiences flow control.
    async fn requests(
        &mut self,
        mut frames: FrameReceiver,
        letters: &Letters<'_>,
    ) -> Result<Infallible, SessionEnd> {
        loop {
            let message = tokio::select! {
                message = frames.recv() => message?,
                () = until(self.guest_until) => return Err(SessionEnd::Idle),
            };
            match message {
                Message::Mailbox(frame) => match *frame {
                    Mailbox::Request(request) => self.take(request, letters).await?,
                    _ => return Err(self.server.misbehaved("MAILBOX_OUT_OF_PLACE")),
                },
                _ => return Err(self.server.misbehaved("MAILBOX_OUT_OF_PLACE")),
            }
        }
    }

    async fn take(&mut self, request: Request, letters: &Letters<'_>) -> Result<(), SessionEnd> {
        match request {
            Request::Register {
                invite_id,
                proof,
                key,
            } => {
                let shown = InviteProof { invite_id, proof };
                let state = self.register(shown, key).await?;
                self.answer(state).await
            }
            Request::Open(key) => {
                let open = self.set_key(key).await?;
                let limits = &self.server.limits;
                let state = if open {
                    limits.open_box()
                } else {
                    limits.no_box("")
                };
                self.answer(state).await?;
                letters.set_open(open);
                Ok(())
            }
            Request::Remove => {
                letters.set_open(false);
                let removed = self.server.store.remove_box(self.peer).await;
                removed.map_err(|error| self.server.failed(&error))?;
                self.answer(self.server.limits.no_box("")).await
            }
            Request::Taken(nonces) => {
                let taken = self.server.store.take(self.peer, nonces.clone()).await;
                taken.map_err(|error| self.server.failed(&error))?;
                letters.taken(&nonces);
                Ok(())
            }
        }
    }

    /// Sets the key of the box. Returns whether the box exists.
    async fn set_key(&self, key: BoxKey) -> Result<bool, SessionEnd> {
        let there = self.server.store.set_key(self.peer, key).await;
        there.map_err(|error| self.server.failed(&error))
    }

    /// Registers a box. An existing box is confirmed whatever was proved, because the answer to an
    /// earlier request may have been lost, and gets the new key.
    async fn register(&mut self, shown: InviteProof, key: BoxKey) -> Result<BoxState, SessionEnd> {
        let server = self.server;
        // Outside the lock: a cluster takes a second for another key, and other owners need not wait.
        if self.set_key(key.clone()).await? {
            self.become_owner()?;
            return Ok(server.limits.open_box());
        }
        let _one = server.registering.lock().await;
        // Another session of the owner may have registered it in the meantime.
        if self.set_key(key.clone()).await? {
            self.become_owner()?;
            return Ok(server.limits.open_box());
        }
        if !self.is_invited(shown).await? {
            self.tries += 1;
            if self.tries > MAX_TRIES {
                return Err(server.misbehaved("MAILBOX_INVITATION_REFUSED"));
            }
            server.counters.count("MAILBOX_INVITATION_REFUSED");
            return Ok(server.limits.no_box("INVITATION_INVALID"));
        }
        let made = server.store.register_box(self.peer, key).await;
        match made.map_err(|error| server.failed(&error))? {
            Registered::ServerFull => {
                server.counters.count("MAILBOX_BOXES_FULL");
                return Ok(server.limits.no_box("BOXES_FULL"));
            }
            Registered::AlreadyThere => {}
            Registered::New => {
                if !self.use_invitation(shown).await? {
                    return Ok(server.limits.no_box("INVITATION_INVALID"));
                }
            }
        }
        self.become_owner()?;
        Ok(server.limits.open_box())
    }

    async fn is_invited(&self, shown: InviteProof) -> Result<bool, SessionEnd> {
        let invitations = &self.server.invitations;
        let invited = invitations.is_invited(&self.proof_key, shown).await;
        invited.map_err(|_| SessionEnd::Unavailable)
    }

    /// Counts the use of the invitation that created the box. If the invitation became invalid in
    /// between, removes the box again.
    async fn use_invitation(&self, shown: InviteProof) -> Result<bool, SessionEnd> {
        let invitations = &self.server.invitations;
        let used = invitations.use_invitation(&self.proof_key, shown).await;
        if !matches!(used, Ok(true)) {
            let removed = self.server.store.remove_box(self.peer).await;
            removed.map_err(|error| self.server.failed(&error))?;
        }
        used.map_err(|_| SessionEnd::Unavailable)
    }

    fn become_owner(&mut self) -> Result<(), SessionEnd> {
        if self.guest_until.is_some() {
            self._seat = self.server.seat(
                &self.server.owners,
                Some(self.peer),
                &self.handle,
                TOO_MANY_OWNERS,
            )?;
            self.guest_until = None;
        }
        Ok(())
    }

    async fn answer(&self, state: BoxState) -> Result<(), SessionEnd> {
        let message = Message::Mailbox(Box::new(Mailbox::State(state)));
        Ok(self.sender.send(message).await?)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
