//! The task of each session, which passes its frames to the engine in order.

use super::frame_size;
use super::grants::{GrantOpener, epoch_secrets, letter_secret, lookup_secrets, name_in_grants};
use super::outgoing::Outgoing;
use super::silence::Silence;
use super::{Link, Links, PunchState};
use crate::driver::EngineHandle;
use bytes::Bytes;
use m2_core::sessions::SessionId;
use m2_crypto::envelope::{Ends, EpochSecret, Grant, ReceiveEpoch};
use m2_crypto::handshake::Peer;
use m2_crypto::invitation::PROOF_EXPORT_LABEL;
use m2_crypto::{Certificate, Identity, PeerId};
use m2_delivery::AcceptedGrant;
use m2_engine::Refusal;
use m2_engine::clock::Clock;
use m2_engine::{Arrived, GrantCheck, SessionEnd, SessionInput, SessionSecrets};
use m2_limits::counters::Counters;
use m2_mailbox::server::MailboxServer;
use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::session::{CloseCode, RENEW_AFTER, Session, SessionError, SessionHandle};
use m2_net::wire::{Envelope, Message, Purpose};
use m2_relay::Relay;
use rand_core::UnwrapErr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

/// The most bytes of received frames that one session may have queued for the engine. A faster peer
/// sees flow control instead of filling this daemon's memory.
const WAITING_BYTES: u32 = 2 << 20;

/// How long a stranger may take to send a contact request.
const ASK_WITHIN: Duration = Duration::from_secs(60);

/// How long the dialler of an old session tries to establish its successor before the session is
/// closed.
const RENEW_WITHIN: Duration = Duration::from_secs(3_600);

/// Starts a task for every established session.
pub struct SessionRunner {
    engine: EngineHandle,
    clock: Arc<Clock>,
    identity: Arc<Identity>,
    own_id: PeerId,
    /// Limits the grants that are opened concurrently, and so the RSA work that peers can cause.
    grants: Semaphore,
    next_id: AtomicU64,
    links: Arc<Links>,
    counters: Arc<Counters>,
    renew_after: Duration,
    mailbox: Option<Arc<MailboxServer>>,
    relay: Option<Arc<Relay>>,
}

impl SessionRunner {
    /// Creates a runner that passes frames to `engine` and keeps connections in `links`.
    pub fn new(
        engine: EngineHandle,
        clock: Arc<Clock>,
        identity: Arc<Identity>,
        own_id: PeerId,
        links: Arc<Links>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            engine,
            clock,
            identity,
            own_id,
            grants: Semaphore::new(2),
            next_id: AtomicU64::new(1),
            links,
            counters,
            renew_after: RENEW_AFTER,
            mailbox: None,
            relay: None,
        }
    }

    /// Sets the mailbox role for sessions of that purpose. Without one they are refused.
    #[must_use]
    pub fn serving(mut self, mailbox: Option<Arc<MailboxServer>>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Sets the relay role for sessions of that purpose. Without one they are refused.
    #[must_use]
    pub fn relaying(mut self, relay: Option<Arc<Relay>>) -> Self {
        self.relay = relay;
        self
    }

    /// Sets the age at which sessions are renewed, for tests.
    #[must_use]
    pub fn renewing_after(mut self, age: Duration) -> Self {
        self.renew_after = age;
        self
    }

    /// Runs a session until it ends.
    pub fn start(self: Arc<Self>, session: Session) {
        let span = tracing::debug_span!("session", purpose = ?session.purpose(), number = Empty, peer = Empty);
        let running = async move {
            match self.run(session).await {
                Ok(()) => tracing::debug!("the session's task ended"),
                Err(TaskEnd::Session(SessionError::Closed)) => {}
                Err(error) => tracing::debug!(%error, "the session's task ended"),
            }
        };
        tokio::spawn(running.instrument(span));
    }

    async fn run(&self, session: Session) -> Result<(), TaskEnd> {
        match (session.peer().clone(), session.purpose()) {
            (Peer::Identified { id, certificate }, Purpose::Peer) => {
                return self.run_peer_session(id, certificate, session).await;
            }
            (Peer::Identified { id, .. }, Purpose::Mailbox) => match &self.mailbox {
                Some(mailbox) => mailbox.serve_owner(id, session).await,
                None => self.refuse(&session, "MAILBOX_OFF"),
            },
            (Peer::Anonymous, Purpose::Peer | Purpose::Mailbox) => match &self.mailbox {
                Some(mailbox) => mailbox.serve_anonymous(session).await,
                None => self.refuse(&session, "ANONYMOUS"),
            },
            (Peer::Anonymous, Purpose::Line) => match &self.relay {
                Some(relay) => relay.serve(session).await,
                None => self.refuse(&session, "RELAY_OFF"),
            },
            (Peer::Identified { .. }, Purpose::Line) => self.refuse(&session, "RELAY_NAMED"),
        }
        Ok(())
    }

    /// Closes a session whose role this daemon does not have.
    fn refuse(&self, session: &Session, reason: &'static str) {
        self.counters.count(reason);
        session.close(CloseCode::Refused);
    }

    /// Runs a session between two identified peers.
    async fn run_peer_session(
        &self,
        id: PeerId,
        certificate: Certificate,
        session: Session,
    ) -> Result<(), TaskEnd> {
        let (handle, sender, receiver) = session.split();
        let link = Arc::new(self.link(&handle, id, Arc::new(certificate), sender));
        Span::current().record("number", link.id.0);
        Span::current().record("peer", display(link.name()));
        let established = established(&link, &handle)?;
        let (epochs, receiving) = epoch_secrets(&handle)?;
        let letters = letter_secret(&handle)?;
        handle.erase_exporter();
        let _held = self.links.hold(link.clone());
        let arrived = self.engine.call(|reply| SessionInput::Up {
            session: established,
            secrets: SessionSecrets { epochs, letters },
            clock_skew_ms: handle.clock_skew_ms(),
            reply,
        });
        let result = match arrived.await {
            Ok(Arrived::Unwanted) => {
                tracing::debug!("the session is refused");
                handle.close(CloseCode::Refused);
                return Ok(());
            }
            Ok(arrived) => self.talk(&link, arrived, receiver, receiving).await,
            Err(refusal) => {
                // The effects of the session's start were rolled back.
                handle.close(CloseCode::Unavailable);
                Err(refusal.into())
            }
        };
        self.end(&link, &handle).await?;
        result
    }

    /// Tells the engine that a session is over.
    async fn end(&self, link: &Link, handle: &SessionHandle) -> Result<(), Refusal> {
        if self.engine.is_stopping() {
            handle.close(CloseCode::ShuttingDown);
        }
        let reason = handle.close_reason().map(display);
        tracing::debug!(reason, age = ?link.age(), "the session is over");
        let end = SessionEnd {
            id: link.id,
            age: link.age(),
            refused: link.refused(),
        };
        let told = self.engine.call(|reply| SessionInput::Down(end, reply));
        told.await
    }

    /// Passes frames to the engine until the session ends.
    async fn talk(
        &self,
        link: &Arc<Link>,
        arrived: Arrived,
        receiver: FrameReceiver,
        epochs: EpochSecret,
    ) -> Result<(), TaskEnd> {
        tokio::select! {
            result = self.receive(link, receiver, epochs) => result,
            () = link.silence.watch(link, &self.engine) => Err(TaskEnd::Stopping),
            () = self.await_request(link), if arrived == Arrived::Stranger => {
                Err(TaskEnd::Stopping)
            }
        }
    }

    /// Reports a stranger when the time for a contact request has passed, since its session is for
    /// nothing else. Returns only when the engine is gone.
    async fn await_request(&self, link: &Arc<Link>) {
        tokio::time::sleep(ASK_WITHIN).await;
        let told = self.engine.cast(SessionInput::Unasked(link.id));
        if told.await.is_err() {
            return;
        }
        std::future::pending().await
    }

    fn link(
        &self,
        handle: &SessionHandle,
        peer_id: PeerId,
        certificate: Arc<Certificate>,
        sender: FrameSender,
    ) -> Link {
        Link {
            id: SessionId(self.next_id.fetch_add(1, Ordering::Relaxed)),
            peer_id,
            certificate,
            dialled: handle.dialled(),
            remote: handle.remote_address(),
            outgoing: Outgoing::default(),
            sender,
            silence: Silence::default(),
            punch_state: PunchState::default(),
            session: handle.clone(),
            counters: self.counters.clone(),
            misdeeds: AtomicU32::new(0),
            since: std::time::Instant::now(),
        }
    }

    async fn receive(
        &self,
        link: &Arc<Link>,
        mut frames: FrameReceiver,
        epochs: EpochSecret,
    ) -> Result<(), TaskEnd> {
        let renewal = tokio::time::sleep(self.renew_after);
        tokio::pin!(renewal);
        let mut grants = GrantOpener::new(epochs);
        let mut is_renewing = false;
        let room = Arc::new(Semaphore::new(WAITING_BYTES as usize));
        loop {
            let message = tokio::select! {
                message = frames.recv() => message?,
                // A session is renewed after a day. Its dialler establishes the next one and only
                // then is this one closed. If there is no successor within an hour, it is closed
                // anyway.
                () = &mut renewal, if link.dialled => {
                    if std::mem::replace(&mut is_renewing, true) {
                        link.close(CloseCode::Done);
                        return Ok(());
                    }
                    renewal.as_mut().reset(Instant::now() + RENEW_WITHIN);
                    self.engine.cast(SessionInput::Old(link.id)).await?;
                    continue;
                }
            };
            let accepted = match &message {
                Message::Envelope(envelope) if !envelope.grant.is_empty() => {
                    self.open_grant(link, envelope, &mut grants).await?
                }
                _ => None,
            };
            // The permit is released once the engine has processed the frame.
            let place = room
                .clone()
                .acquire_many_owned(frame_size::of(&message, WAITING_BYTES))
                .await;
            let frame = SessionInput::Frame(link.id, message, accepted);
            self.engine.cast_with(frame, place.ok()).await?;
        }
    }

    /// Opens a grant off the reactor, if it may be a new one. Later frames wait, so that they find
    /// their epoch open.
    async fn open_grant(
        &self,
        link: &Arc<Link>,
        envelope: &Envelope,
        grants: &mut GrantOpener,
    ) -> Result<Option<AcceptedGrant>, TaskEnd> {
        let Some(grant) = new_grant(link, envelope, grants) else {
            return Ok(None);
        };
        let (id, header) = (link.id, *grant.header());
        let check = self
            .engine
            .call(|reply| SessionInput::Grant(id, header, reply))
            .await?;
        if check == GrantCheck::Ignore {
            return Ok(None);
        }
        let _permit = self.grants.acquire().await.map_err(|_| TaskEnd::Stopping)?;
        tracing::debug!("a grant is opened");
        let accepted = self.accept_grant(link, envelope.grant.clone(), grants);
        let Some(epoch) = accepted.await? else {
            link.count_misdeed("GRANT_REFUSED");
            return Ok(None);
        };
        // The grant is kept for long, and must not keep its whole frame in memory.
        let grant = Bytes::copy_from_slice(&envelope.grant);
        grants.last = grant.clone();
        Ok(Some(AcceptedGrant { epoch, grant }))
    }

    async fn accept_grant(
        &self,
        link: &Link,
        grant: Bytes,
        grants: &mut GrantOpener,
    ) -> Result<Option<ReceiveEpoch>, TaskEnd> {
        // Without the secret, the session's task is ending.
        let mut secret = grants.secret.take().ok_or(TaskEnd::Stopping)?;
        let (identity, certificate) = (self.identity.clone(), link.certificate.clone());
        let (own_id, peer_id) = (self.own_id, link.peer_id);
        let now_s = self.clock.now_ms() / 1_000;
        let opening = tokio::task::spawn_blocking(move || {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let ends = Ends {
                receiver: &identity,
                receiver_id: own_id,
                sender: &certificate,
                sender_id: peer_id,
            };
            let epoch = ReceiveEpoch::accept(&mut rng, &ends, &mut secret, &grant, now_s);
            (epoch.ok(), secret)
        });
        let (epoch, secret) = opening.await.map_err(|_| TaskEnd::Stopping)?;
        grants.secret = Some(secret);
        Ok(epoch)
    }
}

/// Returns what the engine is told of an established session.
fn established(link: &Link, handle: &SessionHandle) -> Result<m2_engine::Session, TaskEnd> {
    let lookup_secrets = lookup_secrets(handle)?;
    Ok(m2_engine::Session {
        id: link.id,
        peer_id: link.peer_id,
        certificate: link.certificate.clone(),
        suite: handle.suite().number(),
        dialled: link.dialled,
        remote: link.remote,
        path: link.path(),
        proof_key: handle.exporter(PROOF_EXPORT_LABEL, &[])?,
        name_in_grants: name_in_grants(handle)?,
        lookup_secrets,
    })
}

/// Returns the grant of an envelope, unless it is the last one that was opened or counts as a
/// misdeed.
fn new_grant<'a>(link: &Link, envelope: &'a Envelope, grants: &GrantOpener) -> Option<Grant<'a>> {
    if grants.last == envelope.grant {
        return None;
    }
    let Ok(grant) = Grant::parse(&envelope.grant) else {
        link.count_misdeed("GRANT_MALFORMED");
        return None;
    };
    if grants.is_of_another_session(&grant) {
        link.count_misdeed("GRANT_REFUSED");
        return None;
    }
    Some(grant)
}

/// Why a session's task ended.
#[derive(Debug, thiserror::Error)]
enum TaskEnd {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the engine refused a call")]
    Refused(Refusal),
    #[error("the daemon is stopping")]
    Stopping,
}

impl From<Refusal> for TaskEnd {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
