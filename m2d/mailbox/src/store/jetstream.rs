//! A store shared by several front ends: two streams of a NATS JetStream cluster.
//!
//! One stream has a message for each letter and for each spent mark, under a subject of its own; the
//! other has the keys of boxes. No operation needs an atomic change of two messages: a deposit is one
//! conditional write ([`deposit`]), and a mark is written before its letter is deleted ([`take`]).
//! The connection is not encrypted: it must run on a separate network.

mod cluster;
mod deposit;
mod fill;
mod kept;
mod keys;
mod notice;
mod overwrites;
mod purge;
mod record;
mod subjects;
mod take;

use super::arrival_notifier::ArrivalNotifier;
use super::{
    Answer, Arrivals, Cursor, Deposit, Deposited, LETTER_SIZES, Limits, MailboxError, MailboxStore,
    Page, Registered, Totals,
};
use cluster::Cluster;
use fill::Fills;
use futures::{StreamExt, TryStreamExt, stream};
use kept::{Erasure, Published};
use keys::{Keys, Set};
use m2_crypto::PeerId;
use m2_crypto::deposit::{BoxKey, DepositNonce, MarkSalt};
use notice::{Hearing, Notice, Notices};
use overwrites::Overwrites;
use purge::Purged;
use record::Record;
use std::sync::Arc;
use subjects::{LetterSubject, Subjects};
use tokio::time::{Instant, sleep_until};

/// The maximum number of concurrent requests of one call.
const PARALLEL: usize = 64;

/// The servers of the cluster, and the names that this store uses in it.
#[derive(Clone)]
pub struct JetStreamOptions {
    /// The server addresses, `nats://[user:password@]host:port`; one reachable server is enough.
    pub servers: Vec<String>,
    /// The prefix of all streams and subjects: letters, digits and `-`.
    pub prefix: String,
    /// The number of replicas: 3, or 1 without a cluster.
    pub replicas: usize,
}

impl JetStreamOptions {
    /// Checks the addresses. Errors: [`MailboxError::Servers`].
    pub fn check_servers(&self) -> Result<(), MailboxError> {
        let parsed = |server: &String| server.parse::<async_nats::ServerAddr>().is_ok();
        let all = self.servers.iter().all(parsed);
        all.then_some(()).ok_or(MailboxError::Servers)
    }
}

/// The connection of one front end to the shared store.
#[derive(Clone)]
pub struct JetStreamStore {
    shared: Arc<Shared>,
}

/// The state that all calls share.
struct Shared {
    cluster: Cluster,
    subjects: Subjects,
    limits: Limits,
    salt: MarkSalt,
    keys: Arc<Keys>,
    fills: Arc<Fills>,
    overwrites: Overwrites,
    purged: Purged,
    notices: Notices,
    arrival_notifier: Arc<ArrivalNotifier>,
}

impl JetStreamStore {
    /// Connects to the cluster. Creates the streams, or updates their limits to `limits`.
    ///
    /// Errors: [`MailboxError::Unavailable`] if no server answers, or one is older than 2.12.
    pub async fn connect(options: JetStreamOptions, limits: Limits) -> Result<Self, MailboxError> {
        let subjects = Subjects::new(&options.prefix);
        let cluster = Cluster::connect(&options, &subjects, &limits).await?;
        let salt = keys::salt(&cluster, &subjects.salt()).await?;
        let hearing = Hearing {
            fills: Arc::new(Fills::new()),
            keys: Arc::new(Keys::new()),
            arrival_notifier: Arc::default(),
        };
        let notices = Notices::start(&cluster, &subjects, hearing.clone()).await?;
        let shared = Shared {
            cluster,
            subjects,
            limits,
            salt,
            keys: hearing.keys,
            fills: hearing.fills,
            overwrites: Overwrites::new(),
            purged: Purged::default(),
            notices,
            arrival_notifier: hearing.arrival_notifier,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Shared {
    async fn register_box(&self, owner: PeerId, key: BoxKey) -> Result<Registered, MailboxError> {
        let subject = self.subjects.key(&owner);
        loop {
            if self.set_key(owner, &key).await? {
                return Ok(Registered::AlreadyThere);
            }
            let boxes = self.cluster.boxes.count(&self.subjects.all_keys()).await?;
            if boxes >= self.limits.boxes {
                return Ok(Registered::ServerFull);
            }
            match keys::create(&self.cluster, &subject, &key).await? {
                Published::At(_) => return Ok(Registered::New),
                Published::NoRoom => return Ok(Registered::ServerFull),
                // Another front end created the box.
                Published::Outrun => {}
            }
        }
    }

    /// Sets the key of a box. Returns whether there is a box. A change returns after no front end
    /// trusts the earlier key any more.
    async fn set_key(&self, owner: PeerId, key: &BoxKey) -> Result<bool, MailboxError> {
        let subject = self.subjects.key(&owner);
        match keys::set(&self.cluster, &subject, key).await? {
            Set::NoBox => return Ok(false),
            Set::Unchanged => return Ok(true),
            Set::Changed => {}
        }
        sleep_until(self.end_trust(&owner).await).await;
        Ok(true)
    }

    /// Tells all front ends that the key of a box has changed. Returns the moment after which each
    /// of them has read it again, even if it did not hear that.
    async fn end_trust(&self, owner: &PeerId) -> Instant {
        let end = Instant::now() + keys::TRUSTED;
        self.keys.forget(owner);
        self.notices.send(owner, Notice::NewKey).await;
        end
    }

    /// Removes the key first, so that no further letter is admitted.
    async fn remove_box(&self, owner: PeerId) -> Result<bool, MailboxError> {
        let existed = keys::remove(&self.cluster, &self.subjects.key(&owner)).await?;
        let end = self.end_trust(&owner).await;
        self.empty_box(&owner).await?;
        if existed {
            // Deposits that another front end admitted under the removed key.
            sleep_until(end).await;
            self.empty_box(&owner).await?;
        }
        self.fills.forget(&owner);
        Ok(existed)
    }

    async fn empty_box(&self, owner: &PeerId) -> Result<(), MailboxError> {
        let kept = &self.cluster.kept;
        let letters = self.subjects.letters_of(owner);
        kept.erase_all(letters, || self.overwrites.next()).await?;
        let marks = self.subjects.marks_of(owner);
        kept.erase_all(marks, || Erasure::Delete).await
    }

    async fn has_box(&self, owner: PeerId) -> Result<bool, MailboxError> {
        let subject = self.subjects.key(&owner);
        Ok(self.cluster.boxes.last(&subject).await?.is_some())
    }

    async fn letters(
        &self,
        owner: PeerId,
        after: Option<Cursor>,
        limit_bytes: usize,
    ) -> Result<Page, MailboxError> {
        let all = self.list_letters(&owner).await?;
        let rest = all
            .iter()
            .filter(|l| after.is_none_or(|after| l.place() > after.0));
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        let mut next = None;
        for letter in rest {
            bytes += letter.size;
            if bytes > limit_bytes && !chosen.is_empty() {
                next = chosen
                    .last()
                    .map(|last: &&LetterSubject| Cursor(last.place()));
                break;
            }
            chosen.push(letter);
        }
        let read = |letter: &LetterSubject| {
            let (nonce, subject) = (letter.nonce, self.subjects.letter(&owner, letter));
            async move {
                // A letter that no longer exists was taken or expired after the list was made.
                let Some(message) = self.cluster.kept.read(&subject).await? else {
                    return Ok::<_, MailboxError>(None);
                };
                let record = Record::unpack(&message.payload)?;
                let seen = record.seen(message.sequence);
                self.fills.remember(owner, nonce, seen);
                Ok(Some((nonce, record.letter)))
            }
        };
        let reads: Vec<_> = chosen.into_iter().map(read).collect();
        let read: Vec<_> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
        let letters = read.into_iter().flatten().collect();
        Ok(Page { letters, next })
    }

    /// Returns the letters of a box in the order of their nonces, which are random.
    async fn list_letters(&self, owner: &PeerId) -> Result<Vec<LetterSubject>, MailboxError> {
        let subjects = self.cluster.kept.list(self.subjects.letters_of(owner));
        let subjects = subjects.await?;
        let mut letters: Vec<_> = subjects
            .iter()
            .filter_map(|s| LetterSubject::parse(s))
            .collect();
        letters.sort_unstable_by_key(LetterSubject::place);
        Ok(letters)
    }

    /// Counts the letters and marks of a box.
    async fn count(&self, owner: &PeerId) -> Result<(), MailboxError> {
        let marks = self.subjects.marks_of(owner);
        let marks = self.cluster.kept.count(&marks);
        let (letters, marks) = tokio::try_join!(self.list_letters(owner), marks)?;
        self.fills.set(*owner, &letters, marks);
        Ok(())
    }

    /// Counts the letters by their sizes: the stream's own numbers include the marks.
    async fn totals(&self) -> Result<Totals, MailboxError> {
        let boxes = self.cluster.boxes.count(&self.subjects.all_keys()).await?;
        let (mut letters, mut bytes) = (0, 0);
        for size in LETTER_SIZES {
            let of_size = self.subjects.letters_of_size(size);
            let count = self.cluster.kept.count(&of_size).await?;
            letters += count;
            bytes += count.saturating_mul(size as u64);
        }
        Ok(Totals {
            boxes,
            letters,
            bytes,
        })
    }
}

impl MailboxStore for JetStreamStore {
    fn register_box(&self, owner: PeerId, key: BoxKey) -> Answer<'_, Registered> {
        Box::pin(self.shared.register_box(owner, key))
    }

    fn set_key(&self, owner: PeerId, key: BoxKey) -> Answer<'_, bool> {
        Box::pin(async move { self.shared.set_key(owner, &key).await })
    }

    fn remove_box(&self, owner: PeerId) -> Answer<'_, bool> {
        Box::pin(self.shared.remove_box(owner))
    }

    fn has_box(&self, owner: PeerId) -> Answer<'_, bool> {
        Box::pin(self.shared.has_box(owner))
    }

    fn deposit(&self, deposit: Deposit, now_ms: u64) -> Answer<'_, Deposited> {
        Box::pin(deposit::run(&self.shared, deposit, now_ms))
    }

    fn letters(
        &self,
        owner: PeerId,
        after: Option<Cursor>,
        limit_bytes: usize,
    ) -> Answer<'_, Page> {
        Box::pin(self.shared.letters(owner, after, limit_bytes))
    }

    fn take(&self, owner: PeerId, nonces: Vec<DepositNonce>) -> Answer<'_, ()> {
        Box::pin(take::run(&self.shared, owner, nonces))
    }

    fn purge(&self, now_ms: u64, budget: usize) -> Answer<'_, usize> {
        Box::pin(purge::run(&self.shared, now_ms, budget))
    }

    /// Does nothing: letters are deleted when they are taken, and the engine handles the rest.
    fn sweep(&self) -> Answer<'_, bool> {
        Box::pin(futures::future::ready(Ok(true)))
    }

    fn totals(&self) -> Answer<'_, Totals> {
        Box::pin(self.shared.totals())
    }

    fn subscribe(&self, owner: PeerId) -> Arrivals {
        self.shared.arrival_notifier.subscribe(owner)
    }
}
