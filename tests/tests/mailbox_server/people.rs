//! Owners and depositors, implemented by hand.

use m2_crypto::invitation::{Invitation, PROOF_EXPORT_LABEL, proof};
use m2_crypto::mailbox::{TokenHash, TokenSeed};
use m2_crypto::{PeerId, Secret};
use m2_net::session::{CloseCode, Ended, Session};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{
    Answer, BoxState, Deposit, Letter, LetterId, Mailbox, Outcome, Request,
};
use m2_tests::hostile::{Caller, public_id};
use m2_tests::scenario::PATIENCE;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::timeout;

/// A letter that is pushed at once would have arrived within this time.
const SILENCE: Duration = Duration::from_millis(1_500);

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
    pub async fn ask(&mut self, request: Request) -> Answer {
        self.say(request).await;
        self.answer().await
    }

    pub async fn answer(&mut self) -> Answer {
        loop {
            match receive(&mut self.session).await {
                Mailbox::Answer(answer) => return answer,
                Mailbox::Letter(letter) => self.letters.push_back(letter),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn state(&mut self, request: Request) -> BoxState {
        match self.ask(request).await {
            Answer::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    /// Registers with an invitation.
    pub async fn register(&mut self, invitation: &Invitation) -> BoxState {
        let key = self.session.exporter(PROOF_EXPORT_LABEL, &[]).unwrap();
        let shown = Request::Register {
            invite_id: *invitation.id().as_bytes(),
            proof: proof(invitation.token(), &key),
        };
        self.state(shown).await
    }

    /// Registers with an invitation that does not exist.
    pub async fn register_with_nothing(&mut self) -> BoxState {
        let shown = Request::Register {
            invite_id: [1; 16],
            proof: [2; 32],
        };
        self.state(shown).await
    }

    pub async fn open(&mut self) -> BoxState {
        self.state(Request::Open).await
    }

    pub async fn remove(&mut self) -> BoxState {
        self.state(Request::Remove).await
    }

    /// Adds tokens. Returns whether they were accepted, and how many the box has now.
    pub async fn add(&mut self, hashes: Vec<TokenHash>) -> (bool, u32) {
        self.changed(Request::AddTokens(hashes)).await
    }

    pub async fn withdraw(&mut self, hashes: Vec<TokenHash>) -> (bool, u32) {
        self.changed(Request::RemoveTokens(hashes)).await
    }

    async fn changed(&mut self, request: Request) -> (bool, u32) {
        match self.ask(request).await {
            Answer::TokensChanged { done, count } => (done, count),
            other => panic!("{other:?}"),
        }
    }

    /// Lists the tokens. Returns the sizes of the pages, and all hashes.
    pub async fn tokens(&mut self) -> (Vec<usize>, Vec<TokenHash>) {
        self.say(Request::ListTokens).await;
        let (mut pages, mut all) = (Vec::new(), Vec::new());
        loop {
            match self.answer().await {
                Answer::Tokens { hashes, last } => {
                    pages.push(hashes.len());
                    all.extend(hashes);
                    if last {
                        return (pages, all);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
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

    /// Sends the provider a list of stored letters, and waits until it has processed the list.
    pub async fn take(&mut self, ids: Vec<LetterId>) {
        self.say(Request::Taken(ids)).await;
        self.tokens().await;
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

    pub async fn outcome(&mut self) -> (LetterId, Outcome) {
        match receive(&mut self.session).await {
            Mailbox::Deposited { id, outcome } => (id, outcome),
            other => panic!("{other:?}"),
        }
    }

    pub async fn deposit(&mut self, deposit: Deposit) -> Outcome {
        let sent = deposit.letter.id;
        self.send(deposit).await;
        let (id, outcome) = self.outcome().await;
        assert_eq!(id, sent);
        outcome
    }
}

/// The tokens of one contact for one box.
pub struct Tokens {
    seed: TokenSeed,
    owner: PeerId,
}

impl Tokens {
    pub fn new(owner: &Caller, seed: u8) -> Self {
        Self {
            seed: TokenSeed::new(Secret::new([seed; 32])),
            owner: public_id(owner.identity()),
        }
    }

    pub fn hashes(&self, indices: std::ops::Range<u64>) -> Vec<TokenHash> {
        indices
            .map(|index| TokenHash::of(&self.seed.token(&self.owner, index)))
            .collect()
    }

    /// A deposit of the letter with this number, with the token of this index.
    pub fn deposit(&self, index: u64, number: u64, size: usize) -> Deposit {
        Deposit {
            owner: self.owner,
            token: self.seed.token(&self.owner, index),
            letter: letter(number, size),
        }
    }
}

pub fn letter(number: u64, size: usize) -> Letter {
    let mut sealed = vec![number as u8; size];
    sealed[..8].copy_from_slice(&number.to_be_bytes());
    Letter {
        id: id(number),
        sealed: sealed.into(),
    }
}

pub fn id(number: u64) -> LetterId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    LetterId(id)
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
