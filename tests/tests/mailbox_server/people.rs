//! Owners and depositors, implemented by hand.

use m2_crypto::deposit::{BoxKey, DepositNonce, Period};
use m2_crypto::invitation::{Invitation, PROOF_EXPORT_LABEL, proof};
use m2_crypto::{PeerId, Secret};
use m2_net::session::{CloseCode, Ended, Session};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{BoxState, Deposit, Letter, Mailbox, Outcome, Request};
use m2_tests::hostile::{Caller, public_id};
use m2_tests::scenario::PATIENCE;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// A letter that is pushed at once would have arrived within this time.
const SILENCE: Duration = Duration::from_millis(1_500);
/// The seed of the key that owners give their boxes if nothing else is said.
pub const SEED: u8 = 1;

/// A peer in an owner's session with its provider.
pub struct Owner {
    pub session: Session,
    letters: VecDeque<Letter>,
}

impl Owner {
    pub fn new(session: Session) -> Self {
        Self {
            session,
            letters: VecDeque::new(),
        }
    }

    pub async fn say(&self, request: Request) {
        let frame = Mailbox::Request(request);
        self.session
            .send_frame(Message::Mailbox(Box::new(frame)))
            .await
            .unwrap();
    }

    /// Sends a request and returns its answer. Keeps the letters that arrive before it.
    pub async fn ask(&mut self, request: Request) -> BoxState {
        self.say(request).await;
        loop {
            match receive(&mut self.session).await {
                Mailbox::State(state) => return state,
                Mailbox::Letter(letter) => self.letters.push_back(letter),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Registers with an invitation.
    pub async fn register(&mut self, invitation: &Invitation) -> BoxState {
        let request = self.registration(invitation);
        self.ask(request).await
    }

    /// Returns the request with which this session registers.
    pub fn registration(&self, invitation: &Invitation) -> Request {
        let key = self.session.exporter(PROOF_EXPORT_LABEL, &[]).unwrap();
        Request::Register {
            invite_id: *invitation.id().as_bytes(),
            proof: proof(invitation.token(), &key),
            key: box_key(SEED),
        }
    }

    /// Registers with an invitation that does not exist.
    pub async fn register_with_nothing(&mut self) -> BoxState {
        self.ask(groundless(SEED)).await
    }

    pub async fn open(&mut self) -> BoxState {
        self.open_with(SEED).await
    }

    /// Opens the box and gives it another key.
    pub async fn open_with(&mut self, seed: u8) -> BoxState {
        self.ask(Request::Open(box_key(seed))).await
    }

    pub async fn remove(&mut self) -> BoxState {
        self.ask(Request::Remove).await
    }

    /// Returns the next letter.
    pub async fn letter(&mut self) -> Letter {
        if let Some(letter) = self.letters.pop_front() {
            return letter;
        }
        match receive(&mut self.session).await {
            Mailbox::Letter(letter) => letter,
            other => panic!("{other:?}"),
        }
    }

    /// Returns all letters that are pushed while none is taken.
    pub async fn letters(&mut self) -> Vec<Letter> {
        let mut all = Vec::from(std::mem::take(&mut self.letters));
        while let Ok(message) = timeout(SILENCE, self.session.recv_frame()).await {
            match mailbox(message.unwrap()) {
                Mailbox::Letter(letter) => all.push(letter),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    /// Sends the provider a list of stored letters, and waits until it has processed the list: it
    /// answers a registration of the existing box after it.
    pub async fn take(&mut self, nonces: Vec<DepositNonce>) {
        self.say(Request::Taken(nonces)).await;
        assert!(self.register_with_nothing().await.open);
    }
}

/// An anonymous depositor.
pub struct Depositor {
    pub session: Session,
}

impl Depositor {
    pub const fn new(session: Session) -> Self {
        Self { session }
    }

    pub async fn send(&self, deposit: Deposit) {
        let frame = Message::Mailbox(Box::new(Mailbox::Deposit(deposit)));
        self.session.send_frame(frame).await.unwrap();
    }

    pub async fn outcome(&mut self) -> (DepositNonce, Outcome) {
        match receive(&mut self.session).await {
            Mailbox::Deposited { nonce, outcome } => (nonce, outcome),
            other => panic!("{other:?}"),
        }
    }

    pub async fn deposit(&mut self, deposit: Deposit) -> Outcome {
        let sent = *deposit.token.nonce();
        self.send(deposit).await;
        let (nonce, outcome) = self.outcome().await;
        assert_eq!(nonce, sent);
        outcome
    }
}

/// Tokens for one box, made with the key of a seed.
pub struct Tokens {
    key: BoxKey,
    owner: PeerId,
}

impl Tokens {
    pub fn new(owner: &Caller, seed: u8) -> Self {
        Self {
            key: box_key(seed),
            owner: public_id(owner.identity()),
        }
    }

    /// A deposit of the letter with this number, with the token of the same number.
    pub fn deposit(&self, number: u64, size: usize) -> Deposit {
        self.deposit_in(Period::at(now_s()), number, size)
    }

    /// A deposit with a token of another period.
    pub fn deposit_in(&self, period: Period, number: u64, size: usize) -> Deposit {
        Deposit {
            owner: self.owner,
            token: self.key.token(&self.owner, nonce(number), period),
            sealed: letter(number, size).sealed,
        }
    }

    /// A deposit of another letter with the token of this number.
    pub fn second(&self, number: u64, size: usize) -> Deposit {
        Deposit {
            sealed: letter(!number, size).sealed,
            ..self.deposit(number, size)
        }
    }
}

/// Returns the Unix time in seconds.
pub fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

pub fn box_key(seed: u8) -> BoxKey {
    BoxKey::new(Secret::new([seed; 32]))
}

/// Returns a registration with an invitation that does not exist.
pub fn groundless(seed: u8) -> Request {
    Request::Register {
        invite_id: [1; 16],
        proof: [2; 32],
        key: box_key(seed),
    }
}

/// Returns the letter with this number as its owner receives it.
pub fn letter(number: u64, size: usize) -> Letter {
    let mut sealed = vec![number as u8; size];
    sealed[..8].copy_from_slice(&number.to_be_bytes());
    Letter {
        nonce: nonce(number),
        sealed: sealed.into(),
    }
}

pub fn nonce(number: u64) -> DepositNonce {
    let mut nonce = [7; 16];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    DepositNonce::from_bytes(nonce)
}

async fn receive(session: &mut Session) -> Mailbox {
    let message = timeout(PATIENCE, session.recv_frame()).await;
    mailbox(message.expect("no frame arrived").unwrap())
}

fn mailbox(message: Message) -> Mailbox {
    match message {
        Message::Mailbox(frame) => *frame,
        other => panic!("{other:?}"),
    }
}

/// Waits until the provider ends a session. Asserts the close code.
pub async fn ends_with(session: &Session, code: CloseCode) {
    let ended = timeout(PATIENCE, session.closed()).await;
    assert_eq!(
        ended.expect("the session did not end"),
        Ended::ByPeer(code as u64)
    );
}
