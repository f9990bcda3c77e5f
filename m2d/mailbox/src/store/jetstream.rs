//! A store shared by several front ends: two streams of a NATS JetStream cluster.
//!
//! The letters stream has one message for each letter, under a separate subject. The other stream
//! holds boxes and tokens. No operation needs an atomic change of two messages; see `deposit` for
//! how a token is spent only once. The connection is not encrypted: it must run on a separate
//! network.

mod cluster;
mod deposit;
mod fill;
mod notice;
mod subjects;

use super::arrival_notifier::ArrivalNotifier;
use super::{
    Answer, Arrivals, Cursor, Deposit, Deposited, LetterId, Limits, MailboxError, MailboxStore,
    Page, Registered, TokenHash, TokensAdded, Totals, due_hour,
};
use bytes::{Buf, Bytes};
use cluster::{Cluster, Published};
use fill::Fills;
use futures::{StreamExt, TryStreamExt, stream};
use m2_crypto::PeerId;
use notice::Notices;
use std::collections::HashSet;
use std::sync::Arc;
use subjects::{LetterSubject, Subjects};

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
    fills: Arc<Fills>,
    notices: Notices,
    arrival_notifier: Arc<ArrivalNotifier>,
}

impl JetStreamStore {
    /// Connects to the cluster. Creates the streams, or updates their limits to `limits`.
    pub async fn connect(options: JetStreamOptions, limits: Limits) -> Result<Self, MailboxError> {
        let subjects = Subjects::new(&options.prefix);
        let cluster = Cluster::connect(&options, &subjects, &limits).await?;
        let (fills, arrival_notifier) =
            (Arc::<Fills>::default(), Arc::<ArrivalNotifier>::default());
        let notices = Notices::start(&cluster, &subjects, &fills, &arrival_notifier).await?;
        let shared = Shared {
            cluster,
            subjects,
            limits,
            fills,
            notices,
            arrival_notifier,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Shared {
    async fn register_box(&self, owner: PeerId) -> Result<Registered, MailboxError> {
        let subject = self.subjects.mailbox(&owner);
        if self.cluster.tokens.last(&subject).await?.is_some() {
            return Ok(Registered::AlreadyThere);
        }
        let boxes = self.cluster.tokens.list(self.subjects.all_boxes()).await?;
        if boxes.len() as u64 >= self.limits.boxes {
            return Ok(Registered::ServerFull);
        }
        match self.cluster.publish(&subject, Bytes::new(), 0).await? {
            Published::At(_) => Ok(Registered::New),
            Published::Outrun => Ok(Registered::AlreadyThere),
            Published::NoRoom => Ok(Registered::ServerFull),
        }
    }

    async fn remove_box(&self, owner: PeerId) -> Result<bool, MailboxError> {
        let subject = self.subjects.mailbox(&owner);
        let there = self.cluster.tokens.last(&subject).await?.is_some();
        self.cluster.tokens.erase_subject(&subject).await?;
        let tokens = self.subjects.tokens_of(&owner);
        self.cluster.tokens.erase_all(tokens).await?;
        let letters = self.subjects.letters_of(&owner);
        self.cluster.letters.erase_all(letters).await?;
        self.fills.forget(&owner);
        Ok(there)
    }

    async fn has_box(&self, owner: PeerId) -> Result<bool, MailboxError> {
        let subject = self.subjects.mailbox(&owner);
        Ok(self.cluster.tokens.last(&subject).await?.is_some())
    }

    async fn add_tokens(
        &self,
        owner: PeerId,
        hashes: Vec<TokenHash>,
    ) -> Result<TokensAdded, MailboxError> {
        if !self.has_box(owner).await? {
            return Ok(TokensAdded::NoBox);
        }
        let known = self.cluster.tokens.list(self.subjects.tokens_of(&owner));
        let known: HashSet<String> = known.await?.into_iter().collect();
        let subjects = hashes.iter().map(|hash| self.subjects.token(&owner, hash));
        let fresh: HashSet<String> = subjects.filter(|s| !known.contains(s)).collect();
        if (known.len() + fresh.len()) as u64 > self.limits.box_tokens {
            return Ok(TokensAdded::TooMany);
        }
        let publish = |subject: String| async move {
            match self.cluster.publish(&subject, Bytes::new(), 0).await? {
                Published::NoRoom => Err(MailboxError::DiskFull),
                // Outrun: another front end registered the token, or it is about to be spent.
                Published::At(_) | Published::Outrun => Ok(()),
            }
        };
        let done = stream::iter(fresh).map(publish).buffer_unordered(PARALLEL);
        done.try_collect::<()>().await?;
        Ok(TokensAdded::Added)
    }

    async fn remove_tokens(
        &self,
        owner: PeerId,
        hashes: Vec<TokenHash>,
    ) -> Result<(), MailboxError> {
        let erase = |hash: TokenHash| async move {
            let subject = self.subjects.token(&owner, &hash);
            self.cluster.tokens.erase_subject(&subject).await
        };
        let done = stream::iter(hashes).map(erase).buffer_unordered(PARALLEL);
        done.try_collect::<()>().await
    }

    async fn token_count(&self, owner: PeerId) -> Result<u64, MailboxError> {
        let tokens = self.cluster.tokens.list(self.subjects.tokens_of(&owner));
        Ok(tokens.await?.len() as u64)
    }

    async fn tokens(
        &self,
        owner: PeerId,
        after: Option<TokenHash>,
        limit: usize,
    ) -> Result<Vec<TokenHash>, MailboxError> {
        let known = self.cluster.tokens.list(self.subjects.tokens_of(&owner));
        let known = known.await?.into_iter();
        let mut hashes: Vec<TokenHash> = known
            .filter_map(|subject| subjects::hash_of(&subject))
            .filter(|hash| after.is_none_or(|after| *hash > after))
            .collect();
        hashes.sort_unstable();
        hashes.truncate(limit);
        Ok(hashes)
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
            let (id, subject) = (letter.id, self.subjects.letter(&owner, letter));
            async move {
                let found = self.cluster.letters.read(&subject).await?;
                Ok::<_, MailboxError>(found.map(|message| {
                    self.fills.remember(owner, id, message.sequence);
                    (id, unpack(message.payload).1)
                }))
            }
        };
        let reads: Vec<_> = chosen.into_iter().map(read).collect();
        let read: Vec<_> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
        // Letters that no longer exist were taken or expired after the list was made.
        let letters = read.into_iter().flatten().collect();
        Ok(Page { letters, next })
    }

    /// Returns the letters of a box in the order of their ids, which are random.
    async fn list_letters(&self, owner: &PeerId) -> Result<Vec<LetterSubject>, MailboxError> {
        let subjects = self.cluster.letters.list(self.subjects.letters_of(owner));
        let subjects = subjects.await?;
        let mut letters: Vec<_> = subjects
            .iter()
            .filter_map(|s| LetterSubject::parse(s))
            .collect();
        letters.sort_unstable_by_key(LetterSubject::place);
        self.fills.count(*owner, &letters);
        Ok(letters)
    }

    async fn remove(&self, owner: PeerId, ids: Vec<LetterId>) -> Result<(), MailboxError> {
        let (known, unknown): (Vec<_>, Vec<_>) = ids
            .into_iter()
            .map(|id| (id, self.fills.recall(&owner, &id)))
            .partition(|(_, sequence)| sequence.is_some());
        let erase = |sequence| self.cluster.letters.erase(sequence);
        let sequences = known.into_iter().filter_map(|(_, sequence)| sequence);
        let done = stream::iter(sequences)
            .map(erase)
            .buffer_unordered(PARALLEL);
        done.try_collect::<()>().await?;
        if !unknown.is_empty() {
            let unknown: HashSet<LetterId> = unknown.into_iter().map(|(id, _)| id).collect();
            let mut letters = self.list_letters(&owner).await?;
            letters.retain(|letter| unknown.contains(&letter.id));
            let subjects = letters.iter().map(|l| self.subjects.letter(&owner, l));
            let erase =
                |subject: String| async move { self.cluster.letters.erase_subject(&subject).await };
            let subjects: Vec<_> = subjects.collect();
            let done = stream::iter(subjects).map(erase).buffer_unordered(PARALLEL);
            done.try_collect::<()>().await?;
        }
        // They are counted again at the next deposit, here and at the other front ends.
        self.fills.forget(&owner);
        self.notices.emptied(&owner).await;
        Ok(())
    }

    /// Purges expired letters. The oldest letters are first in the stream, and clocks of front ends
    /// differ by less than the counted hours, so the first letter that is not due ends the purge.
    /// The engine's own `max_age`, two hours later, removes any remainder, but does not overwrite
    /// it.
    async fn purge(&self, now_ms: u64, budget: usize) -> Result<usize, MailboxError> {
        let (due, all) = (due_hour(now_ms), self.subjects.all_letters());
        let mut deleted = 0;
        while deleted < budget {
            let Some(oldest) = self.cluster.letters.next(&all, 1).await? else {
                break;
            };
            if unpack(oldest.payload).0 > due {
                break;
            }
            self.cluster.letters.erase(oldest.sequence).await?;
            if let Some(owner) = subjects::owner_of(&oldest.subject) {
                self.fills.forget(&owner);
            }
            deleted += 1;
        }
        Ok(deleted)
    }

    async fn totals(&self) -> Result<Totals, MailboxError> {
        let boxes = self.cluster.tokens.list(self.subjects.all_boxes()).await?;
        let (letters, bytes) = self.cluster.letters.size().await?;
        Ok(Totals {
            boxes: boxes.len() as u64,
            letters,
            bytes,
        })
    }
}

impl MailboxStore for JetStreamStore {
    fn register_box(&self, owner: PeerId) -> Answer<'_, Registered> {
        Box::pin(self.shared.register_box(owner))
    }

    fn remove_box(&self, owner: PeerId) -> Answer<'_, bool> {
        Box::pin(self.shared.remove_box(owner))
    }

    fn has_box(&self, owner: PeerId) -> Answer<'_, bool> {
        Box::pin(self.shared.has_box(owner))
    }

    fn add_tokens(&self, owner: PeerId, hashes: Vec<TokenHash>) -> Answer<'_, TokensAdded> {
        Box::pin(self.shared.add_tokens(owner, hashes))
    }

    fn remove_tokens(&self, owner: PeerId, hashes: Vec<TokenHash>) -> Answer<'_, ()> {
        Box::pin(self.shared.remove_tokens(owner, hashes))
    }

    fn token_count(&self, owner: PeerId) -> Answer<'_, u64> {
        Box::pin(self.shared.token_count(owner))
    }

    fn tokens(
        &self,
        owner: PeerId,
        after: Option<TokenHash>,
        limit: usize,
    ) -> Answer<'_, Vec<TokenHash>> {
        Box::pin(self.shared.tokens(owner, after, limit))
    }

    fn deposit(&self, deposit: Deposit, now_ms: u64) -> Answer<'_, Deposited> {
        Box::pin(deposit::run(Arc::clone(&self.shared), deposit, now_ms))
    }

    fn letters(
        &self,
        owner: PeerId,
        after: Option<Cursor>,
        limit_bytes: usize,
    ) -> Answer<'_, Page> {
        Box::pin(self.shared.letters(owner, after, limit_bytes))
    }

    fn remove(&self, owner: PeerId, ids: Vec<LetterId>) -> Answer<'_, ()> {
        Box::pin(self.shared.remove(owner, ids))
    }

    fn purge(&self, now_ms: u64, budget: usize) -> Answer<'_, usize> {
        Box::pin(self.shared.purge(now_ms, budget))
    }

    /// Does nothing: letters are overwritten when they are deleted, and the engine handles the
    /// rest.
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

/// Encodes a message of the letters stream: the hour of expiry, and the letter.
fn pack(expiry: u32, letter: &[u8]) -> Bytes {
    [&expiry.to_be_bytes(), letter].concat().into()
}

fn unpack(mut payload: Bytes) -> (u32, Bytes) {
    let expiry = payload.try_get_u32().unwrap_or_default();
    (expiry, payload)
}
