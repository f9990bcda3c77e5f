//! Hole punching: two contacts that are connected on a line look for a direct path
//! (`docs/spec/reach.md#meeting`).
//!
//! The dialler of the line sends its candidates. The other side sends datagrams to them, which
//! create mappings in its NAT, and answers with its own candidates. Only then does the dialler
//! dial, so that its packets pass the NAT. If there is no session after a second, the other side
//! dials too, as one NAT may admit dials that the other would filter. The new session replaces the
//! one on the line.

use super::asked::Asked;
use crate::connect::{Direct, DirectError};
use crate::network::{Link, SessionRunner};
use crate::reach::{MAX_CANDIDATES, Reachability, in_order};
use m2_crypto::address::{NamedAddress, Use};
use m2_crypto::handshake::Credential;
use m2_crypto::{Identity, PeerId};
use m2_net::endpoint::{Endpoint, LONGEST_PUNCH};
use m2_net::race;
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_net::wire::reach::{Candidates, Reach};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch::error::RecvError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The most queued requests. Further ones are dropped, so the session stays on its line for longer.
const WAITING: usize = 256;
/// The most contacts for which paths are looked for concurrently.
const AT_ONCE: usize = 8;
/// The pause before each round of datagrams to the candidates, in milliseconds.
const PUNCHES_MS: [u64; 7] = [0, 50, 100, 200, 400, 700, 1_000];
/// How long after the candidates arrived the side that accepted the line dials itself.
const DIAL_BACK_AFTER: Duration = Duration::from_millis(1_200);
/// Timeout for dialling all candidates.
const DIAL_LIMIT: Duration = Duration::from_secs(4);
/// The head start of each candidate over the next.
const HEAD_START: Duration = Duration::from_millis(60);
/// The first and the longest pause between attempts on one line.
const FIRST_PAUSE: Duration = Duration::from_secs(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);
/// The least time between two attempts of this side.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// A request about the path of a session on a line.
#[derive(Debug)]
pub enum PunchRequest {
    /// Look for a direct path. This side dialled the line.
    Seek(Arc<Link>),
    /// Handle the peer's candidates.
    Came(Arc<Link>, Candidates),
    /// Use the address at which a contact in a direct session observed this host.
    Seen(PeerId, NamedAddress),
}

/// Passes requests to the task that looks for paths. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HolePuncherHandle(mpsc::Sender<PunchRequest>);

/// A handle without a receiver, so that requests are dropped.
impl Default for HolePuncherHandle {
    fn default() -> Self {
        Self::new().0
    }
}

impl HolePuncherHandle {
    /// Creates a handle and the receiver of its requests.
    pub fn new() -> (Self, mpsc::Receiver<PunchRequest>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Passes a request on, unless the queue is full.
    pub fn tell(&self, request: PunchRequest) {
        if self.0.try_send(request).is_err() {
            tracing::debug!("too many sessions look for a path");
        }
    }
}

/// The task that looks for direct paths.
pub struct HolePuncher {
    /// The endpoint that sends the punching datagrams.
    pub endpoint: Arc<Endpoint>,
    /// Dials the candidates.
    pub direct: Direct,
    /// Runs the new sessions.
    pub runner: Arc<SessionRunner>,
    /// The identity that dials.
    pub identity: Arc<Identity>,
    /// The candidates of this host.
    pub reach: Arc<Reachability>,
}

impl HolePuncher {
    /// Runs until the daemon stops.
    pub async fn run(self, mut requests: mpsc::Receiver<PunchRequest>, stop: CancellationToken) {
        let shared = Arc::new(Shared {
            turns: Semaphore::new(AT_ONCE),
            asked: Mutex::default(),
            all: self,
        });
        loop {
            let request = tokio::select! {
                () = stop.cancelled() => return,
                request = requests.recv() => request,
            };
            let (shared, stop) = (shared.clone(), stop.clone());
            match request {
                None => return,
                Some(request) => tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = shared.take(request) => {}
                    }
                }),
            };
        }
    }
}

struct Shared {
    all: HolePuncher,
    turns: Semaphore,
    asked: Mutex<Asked>,
}

impl Shared {
    /// Handles a request while the search for a direct path is allowed.
    async fn take(&self, request: PunchRequest) {
        let link = match &request {
            PunchRequest::Seek(link) | PunchRequest::Came(link, _) => link.clone(),
            PunchRequest::Seen(contact, address) => {
                return self.all.reach.seen_by_contact(*contact, *address);
            }
        };
        let Some(stop) = link.punch_state().stop() else {
            return;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look(&link, request) => {}
        }
    }

    async fn look(&self, link: &Arc<Link>, request: PunchRequest) {
        let punch_state = link.punch_state();
        match request {
            PunchRequest::Seek(_) if punch_state.seek() => self.seek(link).await,
            // An answer without a request is ignored.
            PunchRequest::Came(_, theirs)
                if theirs.answer && link.dialled && punch_state.take_answer() =>
            {
                self.dial_candidates(link, theirs.addresses).await;
            }
            PunchRequest::Came(_, theirs)
                if !theirs.answer && !link.dialled && self.may_ask(&link.peer_id) =>
            {
                self.answer(link, theirs.addresses).await;
            }
            _ => {}
        }
    }

    /// Returns whether a contact may ask now. The limit is per contact, as it could begin a new
    /// session for each request.
    fn may_ask(&self, contact: &PeerId) -> bool {
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.may_ask(contact, Instant::now())
    }

    /// Sends this side's candidates repeatedly, with growing pauses, while the line is used.
    async fn seek(&self, link: &Arc<Link>) {
        let mut pause = FIRST_PAUSE;
        let mut changes = self.all.reach.changes();
        while !link.is_over() {
            let addresses = self.all.reach.candidates().await;
            changes.mark_unchanged();
            ask(link, addresses);
            tokio::select! {
                () = sleep(pause) => pause = pause.saturating_mul(2).min(LONGEST_PAUSE),
                changed = change_after_pause(&mut changes) => match changed {
                    Ok(()) => pause = FIRST_PAUSE,
                    Err(_) => return,
                },
                () = link.over() => return,
            }
        }
    }

    /// Handles the dialler's candidates: punches, answers, and later dials if necessary.
    async fn answer(&self, link: &Arc<Link>, theirs: Vec<NamedAddress>) {
        let Ok(_turn) = self.turns.acquire().await else {
            return;
        };
        let theirs = self.in_order(theirs);
        tokio::join!(self.punch(link, &theirs), self.reply(link, &theirs));
    }

    /// Sends this side's candidates, and later dials those of the other side if necessary.
    async fn reply(&self, link: &Arc<Link>, theirs: &[SocketAddr]) {
        let ours = self.all.reach.candidates().await;
        tracing::debug!(
            session = link.id.0,
            ours = ours.len(),
            theirs = theirs.len(),
            "answers with candidates"
        );
        tell(link, ours, true);
        sleep(DIAL_BACK_AFTER).await;
        if !link.is_over() {
            self.race(link, theirs).await;
        }
    }

    /// Handles the answer to this side's candidates: punches and dials.
    async fn dial_candidates(&self, link: &Arc<Link>, theirs: Vec<NamedAddress>) {
        let Ok(_turn) = self.turns.acquire().await else {
            return;
        };
        let theirs = self.in_order(theirs);
        tokio::join!(self.punch(link, &theirs), self.race(link, &theirs));
    }

    /// Returns the candidates that may be dialled, the most promising first.
    fn in_order(&self, theirs: Vec<NamedAddress>) -> Vec<SocketAddr> {
        let reach = &self.all.reach;
        let wanted = Use::Contact {
            shares_public: reach.shares_public(&theirs),
        };
        let here = reach.surroundings();
        let admitted = theirs.iter().filter_map(|named| named.admit(&here, wanted));
        in_order(admitted.collect(), &reach.interfaces())
    }

    /// Sends datagrams to the candidates, so that the local NAT admits their dials.
    async fn punch(&self, link: &Arc<Link>, theirs: &[SocketAddr]) {
        let budgets = self.all.direct.budgets();
        for pause in PUNCHES_MS {
            sleep(Duration::from_millis(pause)).await;
            if link.is_over() {
                break;
            }
            for address in theirs {
                if budgets.datagram(link.peer_id, *address, LONGEST_PUNCH as u64) {
                    self.all.endpoint.punch(*address);
                }
            }
        }
        budgets.keep(link.peer_id);
    }

    /// Dials all candidates, each with a head start over the next. The first session wins.
    async fn race(&self, link: &Arc<Link>, theirs: &[SocketAddr]) {
        let dials = (0_u32..)
            .zip(theirs.iter().copied())
            .map(|(place, address)| {
                let dial = self.dial(link, address);
                (HEAD_START.saturating_mul(place), dial)
            });
        let won = race::staggered(dials, |_| {});
        tokio::select! {
            session = won => match session {
                Some(session) => {
                    tracing::debug!(session = link.id.0, "a direct path was found");
                    self.all.runner.clone().start(session);
                }
                None => tracing::debug!(session = link.id.0, "no candidate answered"),
            },
            // A session that the other side dialled has replaced this one.
            () = link.over() => {}
        }
    }

    async fn dial(&self, link: &Link, address: SocketAddr) -> Result<Session, DirectError> {
        let credential = Credential::Identity(self.all.identity.clone());
        let direct = &self.all.direct;
        let dialled = direct.dial_admitted(link.peer_id, address, credential, DIAL_LIMIT);
        dialled.await
    }
}

/// Sends this side's candidates with a request for the other side's.
fn ask(link: &Link, addresses: Vec<NamedAddress>) {
    link.punch_state().ask();
    tracing::debug!(
        session = link.id.0,
        candidates = addresses.len(),
        "asks for a direct path"
    );
    tell(link, addresses, false);
}

/// Waits for the next change of the candidates, at least [`LEAST_PAUSE`].
async fn change_after_pause(changes: &mut watch::Receiver<()>) -> Result<(), RecvError> {
    sleep(LEAST_PAUSE).await;
    changes.changed().await
}

fn tell(link: &Link, mut addresses: Vec<NamedAddress>, answer: bool) {
    addresses.truncate(MAX_CANDIDATES);
    let candidates = Candidates { addresses, answer };
    link.send(Message::Reach(Box::new(Reach::Candidates(candidates))));
}
