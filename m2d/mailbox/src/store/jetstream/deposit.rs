//! Deposits: one conditional write each.
//!
//! The letter is written if nothing is under its nonce: no letter of any size and no spent mark.
//! The leader of the stream checks that, and holds back a second write under the same condition
//! until the first one is finished, so two front ends can't both succeed. Only when the write is
//! refused is read what is there.

use super::Shared;
use super::cluster::{LETTERS_KEPT, Tries};
use super::fill::Reserved;
use super::kept::{Conditional, Published};
use super::notice::Notice;
use super::record::{Record, mark_in};
use super::subjects::LetterSubject;
use crate::store::{Deposit, Deposited, MailboxError, expiry_hour};
use m2_crypto::PeerId;
use m2_crypto::deposit::SpentMark;

/// A deposit whose token is valid.
struct Attempt<'a> {
    shared: &'a Shared,
    deposit: &'a Deposit,
    mark: SpentMark,
    condition: String,
}

/// Deposits a letter.
pub(super) async fn run(
    shared: &Shared,
    deposit: Deposit,
    now_ms: u64,
) -> Result<Deposited, MailboxError> {
    deposit.check()?;
    let (keys, cluster, subjects) = (&shared.keys, &shared.cluster, &shared.subjects);
    if !keys.admit(cluster, subjects, &deposit, now_ms).await? {
        return Ok(Deposited::Refused);
    }
    let nonce = deposit.token.nonce();
    let attempt = Attempt {
        mark: shared.salt.mark(nonce, &deposit.letter),
        condition: subjects.at(&deposit.owner, nonce),
        shared,
        deposit: &deposit,
    };
    let full = match attempt.reserve().await? {
        None => match attempt.write(now_ms).await {
            Ok(Deposited::Stored) => return Ok(Deposited::Stored),
            other => {
                shared.fills.release(&deposit.owner, attempt.size());
                return other;
            }
        },
        Some(full) => full,
    };
    // A repetition is recognised before a limit is.
    Ok(attempt.earlier().await?.unwrap_or(full))
}

impl Attempt<'_> {
    fn size(&self) -> u64 {
        self.deposit.letter.len() as u64
    }

    /// Counts the letter. Returns the limit that it would exceed.
    async fn reserve(&self) -> Result<Option<Deposited>, MailboxError> {
        let (shared, owner) = (self.shared, &self.deposit.owner);
        let (fills, limits) = (&shared.fills, &shared.limits);
        let mut room = fills.reserve_room(self.size(), limits);
        if room != Reserved::Fits {
            let _counter = fills.room_counter().await;
            room = fills.reserve_room(self.size(), limits);
            if room != Reserved::Fits {
                fills.set_room(shared.cluster.kept.bytes().await?);
                room = fills.reserve_room(self.size(), limits);
            }
        }
        if room != Reserved::Fits {
            return Ok(Some(Deposited::ServerFull));
        }
        let mut reserved = fills.reserve(owner, self.size(), limits);
        if reserved == Reserved::Unknown {
            let _counter = fills.counter(owner).await;
            reserved = fills.reserve(owner, self.size(), limits);
            if reserved == Reserved::Unknown {
                shared.count(owner).await?;
                reserved = fills.reserve(owner, self.size(), limits);
            }
        }
        Ok((reserved != Reserved::Fits).then_some(Deposited::BoxFull))
    }

    async fn write(&self, now_ms: u64) -> Result<Deposited, MailboxError> {
        let message = self.message(now_ms);
        let mut tries = Tries::new();
        loop {
            match self.shared.cluster.kept.publish(&message).await? {
                Published::At(_) => {
                    self.tell(self.size()).await;
                    return Ok(Deposited::Stored);
                }
                Published::NoRoom => {
                    return Ok(self.earlier().await?.unwrap_or(Deposited::ServerFull));
                }
                Published::Outrun => {}
            }
            if let Some(outcome) = self.earlier().await? {
                return Ok(outcome);
            }
            // The other write is not finished, or what was there has expired.
            tries.pause("the nonce is in use".to_owned()).await?;
        }
    }

    fn message(&self, now_ms: u64) -> Conditional {
        let (owner, token) = (&self.deposit.owner, &self.deposit.token);
        let subject = LetterSubject {
            nonce: *token.nonce(),
            size: self.deposit.letter.len(),
        };
        let record = Record {
            expiry: expiry_hour(now_ms),
            period: token.period(),
            mark: self.mark,
            letter: self.deposit.letter.clone(),
        };
        Conditional {
            subject: self.shared.subjects.letter(owner, &subject),
            payload: record.pack(),
            condition: self.condition.clone(),
            last: 0,
            lifetime_s: Some(LETTERS_KEPT.as_secs()),
        }
    }

    /// Returns the outcome if something is under the nonce. Asks the leader, because another node
    /// may not have it yet.
    async fn earlier(&self) -> Result<Option<Deposited>, MailboxError> {
        let Some(message) = self.shared.cluster.kept.last(&self.condition).await? else {
            return Ok(None);
        };
        if mark_in(&message)? != self.mark {
            return Ok(Some(Deposited::Refused));
        }
        if LetterSubject::parse(&message.subject).is_some() {
            // The front end that stored it may not have told of it.
            self.tell(0).await;
        }
        Ok(Some(Deposited::AlreadyThere))
    }

    /// Tells the owner, at whichever front end it is, that there is a letter.
    async fn tell(&self, size: u64) {
        let owner: &PeerId = &self.deposit.owner;
        self.shared.arrival_notifier.ring(owner);
        self.shared.notices.send(owner, Notice::Arrived(size)).await;
    }
}
