//! How a token is spent on one letter alone, without transactions.
//!
//! The first message of a token's subject is empty: the token is free. A deposit
//!
//! 1. appends a claim to it, which names its letter. The first claim behind the free message
//!    counts, in the order of the stream, which is one for all front ends. (The server is told
//!    to take a claim only right behind the free message; but 2.9 lets two through when they
//!    come at the same moment, so the winner is looked up.)
//! 2. publishes the letter, if its subject is empty.
//! 3. erases the free message, then the claim.
//!
//! After a crash in between, the token carries the claimed letter and no other, and the sender's
//! next attempt goes on where the last one ended. A claim is a keyed hash that only who knows
//! the letter's id can check.

use super::subjects::LetterSubject;
use super::{Published, Shared, pack};
use crate::mailbox::store::{Deposit, Deposited, MailboxError, expiry_hour};
use bytes::Bytes;
use m2_crypto::label;
use std::sync::Arc;
use tracing::debug;

/// A deposit on its way.
struct Attempt {
    shared: Arc<Shared>,
    deposit: Deposit,
    token: String,
    claim: Bytes,
    letter: String,
}

/// What is known of the token.
enum Token {
    /// It is free; the number of its message.
    Free(u64),
    /// It is claimed for this letter.
    Ours,
    /// It is not there, or claimed for another letter.
    Gone,
}

/// Deposits a letter.
pub(super) async fn run(
    shared: Arc<Shared>,
    deposit: Deposit,
    now_ms: u64,
) -> Result<Deposited, MailboxError> {
    deposit.check()?;
    let attempt = Attempt::new(shared, deposit);
    if let Some(outcome) = attempt.take_token().await? {
        return Ok(outcome);
    }
    attempt.store(now_ms).await
}

impl Attempt {
    fn new(shared: Arc<Shared>, deposit: Deposit) -> Self {
        let claim = label::mac(&deposit.id, "mailbox claim", &[&deposit.token]);
        let letter = LetterSubject {
            id: deposit.id,
            size: deposit.letter.len(),
        };
        Self {
            token: shared.subjects.token(&deposit.owner, &deposit.token),
            letter: shared.subjects.letter(&deposit.owner, &letter),
            claim: Bytes::copy_from_slice(&claim),
            shared,
            deposit,
        }
    }

    /// Claims the token; an outcome, if the letter is not to be stored.
    async fn take_token(&self) -> Result<Option<Deposited>, MailboxError> {
        loop {
            let (token, there) = tokio::join!(self.token(), self.is_there());
            let free = match (token?, there?) {
                (_, true) => return Ok(Some(Deposited::AlreadyThere)),
                (Token::Ours, _) => return Ok(None),
                (Token::Gone, _) => return Ok(Some(Deposited::TokenUnknown)),
                (Token::Free(number), _) => number,
            };
            if let Some(full) = self.fullness().await? {
                return Ok(Some(full));
            }
            let claim = self.claim.clone();
            match self
                .shared
                .cluster
                .publish(&self.token, claim, free)
                .await?
            {
                Published::NoRoom => return Ok(Some(Deposited::ServerFull)),
                // Looked at again either way: who was first?
                Published::At(_) | Published::Outrun => {}
            }
        }
    }

    async fn token(&self) -> Result<Token, MailboxError> {
        let tokens = &self.shared.cluster.tokens;
        let Some(first) = tokens.next(&self.token, 1).await? else {
            return Ok(Token::Gone);
        };
        let claim = if first.payload.is_empty() {
            match tokens.next(&self.token, first.sequence + 1).await? {
                Some(claim) => claim,
                None => return Ok(Token::Free(first.sequence)),
            }
        } else {
            first
        };
        let ours = claim.payload == self.claim;
        Ok(if ours { Token::Ours } else { Token::Gone })
    }

    async fn is_there(&self) -> Result<bool, MailboxError> {
        let found = self.shared.cluster.letters.read(&self.letter).await?;
        Ok(found.is_some())
    }

    async fn fullness(&self) -> Result<Option<Deposited>, MailboxError> {
        let (shared, owner) = (&self.shared, &self.deposit.owner);
        let (letters, bytes) = match shared.fills.get(owner) {
            Some(fill) => (fill.letters, fill.bytes),
            None => {
                let all = shared.list_letters(owner).await?;
                let bytes = all.iter().map(|letter| letter.size as u64).sum();
                (all.len() as u64, bytes)
            }
        };
        let bytes = bytes.saturating_add(self.deposit.letter.len() as u64);
        let fits = letters < shared.limits.box_letters && bytes <= shared.limits.box_bytes;
        Ok((!fits).then_some(Deposited::BoxFull))
    }

    async fn store(self, now_ms: u64) -> Result<Deposited, MailboxError> {
        let payload = pack(expiry_hour(now_ms), &self.deposit.letter);
        let stored = self
            .shared
            .cluster
            .publish(&self.letter, payload, 0)
            .await?;
        let outcome = match stored {
            Published::At(_) => Deposited::Stored,
            Published::Outrun => Deposited::AlreadyThere,
            Published::NoRoom => return Ok(Deposited::ServerFull),
        };
        if outcome == Deposited::Stored {
            let (owner, size) = (&self.deposit.owner, self.deposit.letter.len());
            self.shared.fills.add(owner, size as u64);
            self.shared.bell.ring(owner);
            self.shared.notices.arrived(owner, size).await;
        }
        self.clean_up().await;
        Ok(outcome)
    }

    /// Takes the spent token off the list. The letter is stored: whoever asks hears so, even if
    /// this fails; then the token stays, good for this letter alone.
    async fn clean_up(&self) {
        let tokens = &self.shared.cluster.tokens;
        if let Err(error) = tokens.erase_subject(&self.token).await {
            debug!(%error, "a spent token stays on the list");
        }
    }
}
