//! Two contacts that met on a line look for a path from socket to socket (spec §8).
//!
//! Who dialled the line tells its candidates. The other sends datagrams to them, which open its
//! NAT, and answers with its own. Only then the first one calls: its packets find the way open.
//! When nothing came of it after a second, the other one calls too, as one side's NAT may let
//! calls through that the other's would not. The session that comes up takes the place of the one
//! on the line.

use super::Reachability;
use super::asked::Asked;
use super::candidates::in_order;
use crate::network::{Direct, Link, SessionRunner};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use m2_crypto::address::{NamedAddress, Use};
use m2_crypto::handshake::Credential;
use m2_crypto::{Identity, PeerId};
use m2_net::endpoint::{Endpoint, LONGEST_PUNCH};
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_net::wire::reach::{Candidates, Reach};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// What waits to be done. More is forgotten: a session stays on its line for longer.
const WAITING: usize = 256;
/// Contacts with whom a path is looked for at once.
const AT_ONCE: usize = 8;
/// When datagrams go to each candidate, counted from the last.
const PUNCHES_MS: [u64; 7] = [0, 50, 100, 200, 400, 700, 1_000];
/// How long after the other's candidates came the one who was called calls itself.
const CALL_BACK_AFTER: Duration = Duration::from_millis(1_200);
/// How long all candidates are called.
const CALL_LIMIT: Duration = Duration::from_secs(4);
/// How long one candidate goes before the next.
const HEAD_START: Duration = Duration::from_millis(60);
/// Pauses between attempts on one line.
const FIRST_PAUSE: Duration = Duration::from_secs(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);
/// The least time between two attempts of ours.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// Something to do about the path of a session on a line.
#[derive(Debug)]
pub enum Meeting {
    /// We dialled it, and a direct path is wanted.
    Seek(Arc<Link>),
    /// The other side told where it may be reached.
    Came(Arc<Link>, Candidates),
    /// A contact in a direct session told where it sees us.
    Seen(PeerId, NamedAddress),
}

/// Tells the task that looks for paths. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MeetingHandle(mpsc::Sender<Meeting>);

/// Tells nobody.
impl Default for MeetingHandle {
    fn default() -> Self {
        Self::new().0
    }
}

impl MeetingHandle {
    /// A handle, and what it tells.
    pub fn new() -> (Self, mpsc::Receiver<Meeting>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Has something done, if there is room.
    pub fn tell(&self, meeting: Meeting) {
        if self.0.try_send(meeting).is_err() {
            tracing::debug!("too many sessions look for a path");
        }
    }
}

/// The task that looks for paths.
pub struct Meetings {
    /// From where datagrams go out.
    pub endpoint: Arc<Endpoint>,
    /// Dials what contacts named.
    pub direct: Direct,
    /// Who takes the sessions.
    pub runner: Arc<SessionRunner>,
    /// Who we are.
    pub identity: Arc<Identity>,
    /// Where we may be reached.
    pub reach: Arc<Reachability>,
}

impl Meetings {
    /// Runs until the daemon stops.
    pub async fn run(self, mut meetings: mpsc::Receiver<Meeting>, stop: CancellationToken) {
        let shared = Arc::new(Shared {
            turns: Semaphore::new(AT_ONCE),
            asked: Mutex::default(),
            all: self,
        });
        loop {
            let meeting = tokio::select! {
                () = stop.cancelled() => return,
                meeting = meetings.recv() => meeting,
            };
            let (shared, stop) = (shared.clone(), stop.clone());
            match meeting {
                None => return,
                Some(meeting) => tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = shared.take(meeting) => {}
                    }
                }),
            };
        }
    }
}

struct Shared {
    all: Meetings,
    turns: Semaphore,
    asked: Mutex<Asked>,
}

impl Shared {
    /// Does it, unless no direct path may be looked for, and only as long as one may.
    async fn take(&self, meeting: Meeting) {
        let link = match &meeting {
            Meeting::Seek(link) | Meeting::Came(link, _) => link.clone(),
            Meeting::Seen(contact, address) => {
                return self.all.reach.seen_by_contact(*contact, *address);
            }
        };
        let Some(stop) = link.meets().stop() else {
            return;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look(&link, meeting) => {}
        }
    }

    async fn look(&self, link: &Arc<Link>, meeting: Meeting) {
        let meets = link.meets();
        match meeting {
            Meeting::Seek(_) if meets.seek() => self.seek(link).await,
            // Who was not asked has nothing to answer.
            Meeting::Came(_, theirs) if theirs.answer && link.dialled && meets.take_answer() => {
                self.call(link, theirs.addresses).await;
            }
            Meeting::Came(_, theirs)
                if !theirs.answer && !link.dialled && self.may_ask(&link.peer_id) =>
            {
                self.answer(link, theirs.addresses).await;
            }
            _ => {}
        }
    }

    /// Whether a contact may ask now. That is held per contact, as it could begin a new session for
    /// each question.
    fn may_ask(&self, contact: &PeerId) -> bool {
        // Nothing is ever half done under this lock.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.may_ask(contact, Instant::now())
    }

    /// Tells our candidates, again and again after growing pauses, as long as the line is used.
    async fn seek(&self, link: &Arc<Link>) {
        let mut pause = FIRST_PAUSE;
        let mut changes = self.all.reach.changes();
        while !link.is_over() {
            let addresses = self.all.reach.candidates().await;
            changes.mark_unchanged();
            link.meets().ask();
            tell(link, addresses, false);
            tokio::select! {
                () = sleep(pause) => pause = pause.saturating_mul(2).min(LONGEST_PAUSE),
                changed = async {
                    sleep(LEAST_PAUSE).await;
                    changes.changed().await
                } => match changed {
                    Ok(()) => pause = FIRST_PAUSE,
                    Err(_) => return,
                },
                () = link.over() => return,
            }
        }
    }

    /// The other side tells its candidates: opens the way, answers, and calls if need be.
    async fn answer(&self, link: &Arc<Link>, theirs: Vec<NamedAddress>) {
        let Ok(_turn) = self.turns.acquire().await else {
            return;
        };
        let theirs = self.in_order(theirs);
        let reply = async {
            let ours = self.all.reach.candidates().await;
            tell(link, ours, true);
            sleep(CALL_BACK_AFTER).await;
            if !link.is_over() {
                self.call_all(link, &theirs).await;
            }
        };
        tokio::join!(self.punch(link, &theirs), reply);
    }

    /// The other side has opened its way: calls.
    async fn call(&self, link: &Arc<Link>, theirs: Vec<NamedAddress>) {
        let Ok(_turn) = self.turns.acquire().await else {
            return;
        };
        let theirs = self.in_order(theirs);
        tokio::join!(self.punch(link, &theirs), self.call_all(link, &theirs));
    }

    /// Those that may be dialled, the most promising first.
    fn in_order(&self, theirs: Vec<NamedAddress>) -> Vec<SocketAddr> {
        let reach = &self.all.reach;
        let wanted = Use::Contact {
            shares_public: reach.shares_public(&theirs),
        };
        let here = reach.surroundings();
        let admitted = theirs.iter().filter_map(|named| named.admit(&here, wanted));
        in_order(admitted.collect(), &reach.interfaces())
    }

    /// Opens the way for calls from these addresses.
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

    /// Calls all, each with a head start over the next; the first session wins.
    async fn call_all(&self, link: &Arc<Link>, theirs: &[SocketAddr]) {
        let mut calls: FuturesUnordered<_> = (0_u32..)
            .zip(theirs)
            .map(|(place, address)| async move {
                sleep(HEAD_START.saturating_mul(place)).await;
                self.dial(link, *address).await
            })
            .collect();
        let won = async {
            while let Some(session) = calls.next().await {
                if session.is_some() {
                    return session;
                }
            }
            None
        };
        tokio::select! {
            session = won => if let Some(session) = session {
                self.all.runner.clone().start(session);
            },
            // A session that the other side made took the place of this one.
            () = link.over() => {}
        }
    }

    async fn dial(&self, link: &Link, address: SocketAddr) -> Option<Session> {
        let credential = Credential::Identity(self.all.identity.clone());
        let direct = &self.all.direct;
        let dialled = direct.dial_admitted(link.peer_id, address, credential, CALL_LIMIT);
        dialled.await.ok()
    }
}

fn tell(link: &Link, mut addresses: Vec<NamedAddress>, answer: bool) {
    addresses.truncate(super::candidates::MAX_CANDIDATES);
    let candidates = Candidates { addresses, answer };
    link.send(Message::Reach(Box::new(Reach::Candidates(candidates))));
}
