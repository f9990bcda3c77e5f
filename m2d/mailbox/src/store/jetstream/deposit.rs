//! How a token is spent on only one letter, without transactions.
//!
//! The first message of a token's subject is empty: the token is free. A deposit
//!
//! 1. appends a claim to the subject, which identifies its letter. The server accepts it only
//!    directly after the free message, but version 2.9 accepts two claims that arrive at the same
//!    moment.
//! 2. erases the free message. Claims that were accepted precede the erasure in the stream, which
//!    is the same for all front ends, so no further claim can follow. The last claim counts.
//! 3. publishes the letter, if its subject is empty.
//! 4. erases claims that came earlier, and then its own, which kept them from counting.
//!
//! After a crash in between, the token is bound to the claimed letter, and the sender's next
//! attempt continues where the last one ended. A claim is a keyed hash, which can only be checked
//! with the letter's id.
//!
//! Every request here is for the first or the last message of a subject, or for a sequence number:
//! nats-server 2.9 serves other requests by scanning messages, across the tokens of all boxes.

use super::subjects::LetterSubject;
use super::{Published, Shared, pack};
use crate::store::{Deposit, Deposited, MailboxError, expiry_hour};
use bytes::Bytes;
use m2_crypto::label;
use std::sync::Arc;
use tracing::debug;

/// A deposit in progress.
struct Attempt {
    shared: Arc<Shared>,
    deposit: Deposit,
    token: String,
    claim: Bytes,
    letter: String,
}

/// The state of the token.
enum Token {
    /// It is free; the number of the free message.
    Free(u64),
    /// It is finally claimed for this letter; the number of the claim.
    Ours(u64),
    /// It does not exist, or is claimed for another letter.
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
    match attempt.take_token().await? {
        Ok(claim) => attempt.store(claim, now_ms).await,
        Err(outcome) => Ok(outcome),
    }
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

    /// Claims the token. Returns the number of the claim, or the result of the deposit if it can't
    /// proceed.
    async fn take_token(&self) -> Result<Result<u64, Deposited>, MailboxError> {
        loop {
            let (token, there) = tokio::join!(self.token(), self.is_there());
            let free = match (token?, there?) {
                (token, true) => return Ok(Err(self.replayed(token).await)),
                (Token::Ours(claim), _) => return Ok(Ok(claim)),
                (Token::Gone, _) => return self.without_token().await.map(Err),
                (Token::Free(number), _) => number,
            };
            if let Some(full) = self.fullness().await? {
                return Ok(Err(full));
            }
            let claim = self.claim.clone();
            let claimed = self.shared.cluster.publish(&self.token, claim, free);
            let ours = match claimed.await? {
                Published::NoRoom => return Ok(Err(Deposited::ServerFull)),
                Published::At(number) => Some(number),
                // Only a claim can have followed the free message.
                Published::Outrun => match self.last_claim().await? {
                    Token::Free(_) => continue,
                    Token::Ours(_) | Token::Gone => None,
                },
            };
            self.shared.cluster.tokens.erase(free).await?;
            // Either way the last claim decides.
            match self.last_claim().await? {
                Token::Ours(claim) => return Ok(Ok(claim)),
                Token::Gone => {
                    if let Some(number) = ours {
                        self.shared.cluster.tokens.erase(number).await?;
                    }
                    return self.without_token().await.map(Err);
                }
                // The token was withdrawn and registered again in the meantime.
                Token::Free(_) => {}
            }
        }
    }

    /// Handles a letter that is already stored. The front end that stored it may have crashed
    /// before it removed the token.
    async fn replayed(&self, token: Token) -> Deposited {
        if let Token::Ours(claim) = token {
            self.spend(claim).await;
        }
        Deposited::AlreadyThere
    }

    /// Handles a missing token. If a concurrent attempt spent it on this letter, the letter was
    /// stored before the token was removed.
    async fn without_token(&self) -> Result<Deposited, MailboxError> {
        Ok(match self.is_there().await? {
            true => Deposited::AlreadyThere,
            false => Deposited::TokenUnknown,
        })
    }

    async fn token(&self) -> Result<Token, MailboxError> {
        let found = self.last_claim().await?;
        if !matches!(found, Token::Ours(_)) {
            return Ok(found);
        }
        // An earlier attempt may have ended before it erased the free message.
        let tokens = &self.shared.cluster.tokens;
        match tokens.next(&self.token, 1).await? {
            Some(first) if first.payload.is_empty() => tokens.erase(first.sequence).await?,
            _ => return Ok(found),
        }
        self.last_claim().await
    }

    /// Returns the state that the subject's last message indicates. A claim is final once the free
    /// message is erased.
    async fn last_claim(&self) -> Result<Token, MailboxError> {
        let last = self.shared.cluster.tokens.last(&self.token).await?;
        Ok(match last {
            Some(last) if last.payload.is_empty() => Token::Free(last.sequence),
            Some(last) if last.payload == self.claim => Token::Ours(last.sequence),
            _ => Token::Gone,
        })
    }

    /// Returns whether the letter is stored. Asks only the leader: in nearly all cases the letter
    /// does not exist, and another node could report that too early.
    async fn is_there(&self) -> Result<bool, MailboxError> {
        let found = self.shared.cluster.letters.last(&self.letter).await?;
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

    async fn store(self, claim: u64, now_ms: u64) -> Result<Deposited, MailboxError> {
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
            self.shared.arrival_notifier.ring(owner);
            self.shared.notices.arrived(owner, size).await;
        }
        self.spend(claim).await;
        Ok(outcome)
    }

    /// Removes the spent token. The letter is stored and reported as stored even if this fails. A
    /// token that remains can only be used for this letter.
    async fn spend(&self, claim: u64) {
        if let Err(error) = self.clean_up(claim).await {
            debug!(%error, "a spent token stays on the list");
        }
    }

    /// Removes the spent token from the stream. Earlier claims must go first, because otherwise one
    /// of them would count.
    async fn clean_up(&self, claim: u64) -> Result<(), MailboxError> {
        let tokens = &self.shared.cluster.tokens;
        while let Some(first) = tokens.next(&self.token, 1).await?
            && first.sequence < claim
        {
            tokens.erase(first.sequence).await?;
        }
        tokens.erase(claim).await
    }
}
