//! A provider in the test's process, which records everything that it sees and does what the test says.

use m2_crypto::Circle;
use m2_crypto::deposit::{BoxKey, DepositNonce};
use m2_crypto::handshake::Peer;
use m2_crypto::invitation::{Invitation, Offer};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::session::{Session, SessionHandle};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{BoxState, Deposit, Letter, Mailbox, Outcome, Request};
use m2_tests::harness::Daemon;
use m2_tests::hostile::{identity, public_id};
use m2_tests::scenario::eventually;
use rand_core::UnwrapErr;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// Session keys that are kept ready: each deposit takes one.
const KEYS: usize = 32;

/// What the provider saw of a deposit.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    pub from: SocketAddr,
    pub deposit: Deposit,
}

/// The provider, with carol's identity.
pub struct Provider {
    endpoint: Arc<Endpoint>,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    seen: Vec<Seen>,
    /// The nonces of letters that the owner took.
    taken: HashSet<DepositNonce>,
    /// The keys of the box, the newest last.
    keys: Vec<BoxKey>,
    /// The owner's session.
    owner: Option<(SessionHandle, FrameSender)>,
    /// The answer to deposits.
    answer: Outcome,
    /// False if letters are kept back.
    passes_on: bool,
    /// Frames that answer a deposit instead of its outcome.
    instead: Option<Vec<Message>>,
}

impl Provider {
    pub fn start() -> Self {
        let mut config = EndpointConfig::new(Circle::public(), identity("carol").unwrap());
        config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        config.key_pool_size = KEYS;
        let endpoint = Arc::new(Endpoint::bind(config).unwrap());
        let state = Arc::new(Mutex::new(State {
            seen: Vec::new(),
            taken: HashSet::new(),
            keys: Vec::new(),
            owner: None,
            answer: Outcome::Stored,
            passes_on: true,
            instead: None,
        }));
        let task = tokio::spawn(serve(endpoint.clone(), state.clone()));
        Self {
            endpoint,
            state,
            task,
        }
    }

    /// Registers a box of a daemon, and waits until it is open.
    pub async fn register(&self, daemon: &Daemon) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let offer = Offer {
            reusable: true,
            expires_s: now.as_secs() + 3_600,
            addresses: vec![self.endpoint.local_addrs()[0].to_string().parse().unwrap()],
            lines: Vec::new(),
        };
        let (mut rng, id) = (
            UnwrapErr(getrandom::SysRng),
            public_id(&identity("carol").unwrap()),
        );
        let circle = Circle::public();
        let invitation = Invitation::create(&mut rng, id, circle.id(), offer).unwrap();
        let uri = invitation.to_uri();
        let register = ["mailbox", "register", &uri];
        daemon.m2(&register).await.unwrap().success().unwrap();
        self.is_open(daemon).await;
    }

    /// Waits until a daemon's session with this provider is up.
    pub async fn is_open(&self, daemon: &Daemon) {
        eventually("an open box", async || {
            let list = daemon.m2(&["--json", "mailbox", "list"]).await?.json()?;
            let is_open = list
                .iter()
                .any(|it| it["keyKnown"] == true && it["online"] == true);
            Ok(is_open.then_some(()))
        })
        .await
        .unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub fn keys(&self) -> Vec<BoxKey> {
        self.state().keys.clone()
    }

    pub fn has_taken(&self, nonce: &DepositNonce) -> bool {
        self.state().taken.contains(nonce)
    }

    /// Answers further deposits in this way.
    pub fn answer(&self, answer: Outcome) {
        self.state().answer = answer;
    }

    /// Passes letters on to the owner, or keeps them back.
    pub fn pass_on(&self, passes_on: bool) {
        self.state().passes_on = passes_on;
    }

    /// Answers further deposits with these frames, or correctly.
    pub fn answer_with(&self, frames: Option<Vec<Message>>) {
        self.state().instead = frames;
    }

    /// Sends the owner any frame. Returns the owner's session.
    pub async fn tell_owner(&self, message: Message) -> SessionHandle {
        let (session, sender) = self.state().owner.clone().unwrap();
        // The session may have ended.
        let _ = sender.send(message).await;
        session
    }

    /// Waits until this number of deposits was made since the start: as long as others are made.
    pub async fn deposits(&self, count: usize) -> Vec<Seen> {
        let made = || self.state().seen.len();
        let mut next = made() + 1;
        while made() < count {
            let what = format!("deposit {next} of {count}");
            let more = eventually(&what, async || Ok((made() >= next).then_some(())));
            more.await.unwrap();
            next = made() + 1;
        }
        self.seen()
    }

    /// Sends the owner a letter under a nonce, and waits until it has processed it.
    pub async fn push(&self, nonce: DepositNonce, sealed: &[u8]) {
        self.state().taken.remove(&nonce);
        let sender = self.state().owner.clone().unwrap().1;
        let sealed = sealed.to_vec().into();
        let letter = Mailbox::Letter(Letter { nonce, sealed });
        sender.send(frame(letter)).await.unwrap();
        eventually("a taken letter", async || {
            Ok(self.has_taken(&nonce).then_some(()))
        })
        .await
        .unwrap();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn frame(mailbox: Mailbox) -> Message {
    Message::Mailbox(Box::new(mailbox))
}

async fn serve(endpoint: Arc<Endpoint>, state: Arc<Mutex<State>>) {
    while let Some(session) = endpoint.accept().await {
        match session.peer() {
            Peer::Identified { .. } => tokio::spawn(serve_owner(session, state.clone())),
            Peer::Anonymous => tokio::spawn(serve_depositor(session, state.clone())),
        };
    }
}

async fn serve_owner(session: Session, state: Arc<Mutex<State>>) {
    let (handle, sender, mut frames) = session.split();
    state.lock().unwrap().owner = Some((handle, sender.clone()));
    while let Some(Mailbox::Request(request)) = next(&mut frames).await {
        let is_open = matches!(request, Request::Open(_));
        match request {
            Request::Register { key, .. } | Request::Open(key) => {
                state.lock().unwrap().keys.push(key);
            }
            Request::Remove => {}
            Request::Taken(nonces) => {
                state.lock().unwrap().taken.extend(nonces);
                continue;
            }
        }
        let state_of_box = Mailbox::State(BoxState {
            open: true,
            ..BoxState::default()
        });
        let _ = sender.send(frame(state_of_box)).await;
        if is_open {
            push_all(&sender, &state).await;
        }
    }
}

/// Sends the owner all letters that it has not taken.
async fn push_all(sender: &FrameSender, state: &Mutex<State>) {
    let letters: Vec<Letter> = {
        let state = state.lock().unwrap();
        let waiting = state.seen.iter().filter(|_| state.passes_on);
        let letters = waiting.map(|seen| letter_of(&seen.deposit));
        letters
            .filter(|letter| !state.taken.contains(&letter.nonce))
            .collect()
    };
    for letter in letters {
        let _ = sender.send(frame(Mailbox::Letter(letter))).await;
    }
}

fn letter_of(deposit: &Deposit) -> Letter {
    Letter {
        nonce: *deposit.token.nonce(),
        sealed: deposit.sealed.clone(),
    }
}

async fn serve_depositor(session: Session, state: Arc<Mutex<State>>) {
    let from = session.remote_address();
    let (_handle, sender, mut frames) = session.split();
    while let Some(Mailbox::Deposit(deposit)) = next(&mut frames).await {
        let (nonce, letter) = (*deposit.token.nonce(), letter_of(&deposit));
        let (answer, owner) = {
            let mut state = state.lock().unwrap();
            let at = Instant::now();
            state.seen.push(Seen { at, from, deposit });
            let passes = state.passes_on && state.answer == Outcome::Stored;
            let owner = state.owner.clone().filter(|_| passes);
            let outcome = state.answer;
            let correct = || vec![frame(Mailbox::Deposited { nonce, outcome })];
            (state.instead.clone().unwrap_or_else(correct), owner)
        };
        for message in answer {
            let _ = sender.send(message).await;
        }
        if let Some((_, owner)) = owner {
            let _ = owner.send(frame(Mailbox::Letter(letter))).await;
        }
    }
}

async fn next(frames: &mut FrameReceiver) -> Option<Mailbox> {
    match frames.recv().await {
        Ok(Message::Mailbox(mailbox)) => Some(*mailbox),
        _ => None,
    }
}
