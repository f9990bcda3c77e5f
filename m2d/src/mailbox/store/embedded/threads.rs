//! The threads of the embedded store: one writes, in batches; one reads; one moves the log.

use super::file::StoreFile;
use super::tables::Tables;
use crate::mailbox::store::{Limits, MailboxError};
use crate::pace::{Pace, Report};
use crate::store::{Fault, StoreHealth};
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// How many jobs wait for a thread before callers wait for a place.
const QUEUE: usize = 1024;

/// The store, in the log.
const FILE: &str = "mailbox.db";

/// How many jobs one transaction takes.
const BATCH: usize = 512;

/// A job for the writer: does its work, and gives back what tells the caller after the commit.
type Job = Box<dyn FnOnce(&mut Tables) -> Told + Send>;

/// Tells the caller; if the batch could not be committed, why.
type Told = Result<Finish, (Finish, MailboxError)>;
type Finish = Box<dyn FnOnce(Result<(), Lost>) + Send>;

/// A job for the reader.
type Query = Box<dyn FnOnce(&Connection) + Send>;

/// Why a batch was rolled back; none when it is not the file's fault.
type Lost = Option<Fault>;

enum Order {
    Work(Job),
    Sweep(oneshot::Sender<Result<bool, MailboxError>>),
}

/// The writer thread. It ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    health: Arc<StoreHealth>,
}

/// A thread that reads, or moves the log into the file. It ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Reader {
    queries: mpsc::Sender<Query>,
}

impl Writer {
    /// Opens the store and starts its thread.
    pub(super) fn start(file: &StoreFile, limits: Limits) -> Result<Self, MailboxError> {
        let tables = Tables::open(file.open()?, limits)?;
        let (orders, queue) = mpsc::channel(QUEUE);
        let health = Arc::<StoreHealth>::default();
        let noted = health.clone();
        spawn("mailbox-writer", move || write(tables, queue, &noted))?;
        Ok(Self { orders, health })
    }

    /// What is wrong with the file.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.health.fault()
    }

    /// Runs `work` in the next transaction; answers after its commit.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T, MailboxError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables) -> Result<T, MailboxError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tables| match work(tables) {
            Ok(value) => Ok(Box::new(move |kept: Result<(), Lost>| {
                let _ = answer.send(kept.map(|()| value).map_err(told));
            })),
            Err(error) => {
                let lost = error.fault();
                let finish: Finish = Box::new(move |_| {
                    let _ = answer.send(Err(told(lost)));
                });
                Err((finish, error))
            }
        });
        let sent = self.orders.send(Order::Work(job)).await;
        sent.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Moves what is left in the log into the file and cuts the log to nothing.
    pub(super) async fn sweep(&self) -> Result<bool, MailboxError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.orders.send(Order::Sweep(answer)).await;
        sent.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Reader {
    /// Starts a thread around a connection that does not write rows.
    pub(super) fn start(name: &str, connection: Connection) -> Result<Self, MailboxError> {
        let (queries, mut queue) = mpsc::channel::<Query>(QUEUE);
        spawn(name, move || {
            while let Some(query) = queue.blocking_recv() {
                query(&connection);
            }
        })?;
        Ok(Self { queries })
    }

    pub(super) async fn call<T, F>(&self, query: F) -> Result<T, MailboxError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, MailboxError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let query: Query = Box::new(move |connection| {
            let _ = answer.send(query(connection));
        });
        self.queries.send(query).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

fn told(lost: Lost) -> MailboxError {
    match lost {
        Some(Fault::Full) => MailboxError::DiskFull,
        Some(fault) => MailboxError::Failed(fault),
        None => MailboxError::Unavailable("a batch could not be written".to_owned()),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), MailboxError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(run);
    started.map_err(|error| MailboxError::Unavailable(error.to_string()))?;
    Ok(())
}

fn stopped() -> MailboxError {
    MailboxError::Unavailable("its thread has ended".to_owned())
}

fn write(mut tables: Tables, mut queue: mpsc::Receiver<Order>, health: &StoreHealth) {
    let mut swept = u64::MAX;
    let mut pace = Pace::default();
    let mut is_stale = false;
    while let Some(order) = queue.blocking_recv() {
        let mut sweeps = Vec::new();
        let mut jobs = Vec::new();
        sort(order, &mut jobs, &mut sweeps);
        while jobs.len() < BATCH
            && let Ok(order) = queue.try_recv()
        {
            sort(order, &mut jobs, &mut sweeps);
        }
        if !jobs.is_empty() {
            let written = run_batch(&mut tables, jobs, &mut is_stale);
            note(written, &mut pace, health);
        }
        for answer in sweeps {
            let _ = answer.send(checkpoint(tables.connection(), &mut swept));
        }
    }
}

fn sort(
    order: Order,
    jobs: &mut Vec<Job>,
    sweeps: &mut Vec<oneshot::Sender<Result<bool, MailboxError>>>,
) {
    match order {
        Order::Work(job) => jobs.push(job),
        Order::Sweep(answer) => sweeps.push(answer),
    }
}

/// Notes how a batch went. After a failure it waits: callers wait too, and ask less often.
fn note(written: Result<(), Lost>, pace: &mut Pace, health: &StoreHealth) {
    let now = Instant::now();
    let report = match written {
        Ok(()) => pace.worked(now),
        Err(lost) => {
            let fault = lost.unwrap_or(Fault::Other);
            health.write_failed(fault);
            let jitter = crate::mailbox::store::random().map_or(0, u32::from_ne_bytes);
            pace.failed(fault, now, jitter)
        }
    };
    if matches!(report, Some(Report::Ends(..))) {
        health.written();
    }
    if let Some(report) = report {
        report.log(FILE);
    }
    if let Some(pause) = pace.pause(now) {
        std::thread::sleep(pause);
    }
}

/// Runs a batch and tells its callers. An error: nothing of it was stored. `is_stale`: what was
/// counted is ahead of the file, and nothing is done before it is counted again.
fn run_batch(tables: &mut Tables, jobs: Vec<Job>, is_stale: &mut bool) -> Result<(), Lost> {
    let mut finishes = Vec::with_capacity(jobs.len());
    let counted = if *is_stale { tables.recount() } else { Ok(()) };
    let written = counted.and_then(|()| try_batch(tables, jobs, &mut finishes));
    let written = written.map_err(|error| {
        tracing::debug!(%error, "a batch of the mailbox store is rolled back");
        error.fault()
    });
    *is_stale = false;
    if let Err(lost) = written {
        *is_stale = roll_back(tables).is_err();
        if lost == Some(Fault::Full) {
            // The log gives its room back. Where there is none to move it, it stays.
            let mut swept = u64::MAX;
            let _ = checkpoint(tables.connection(), &mut swept);
        }
    }
    for finish in finishes {
        finish(written);
    }
    written
}

/// One transaction. After the first failure nothing more is tried: jobs that were not reached
/// are dropped, which their callers see as the store being unavailable.
fn try_batch(
    tables: &mut Tables,
    jobs: Vec<Job>,
    finishes: &mut Vec<Finish>,
) -> Result<(), MailboxError> {
    tables.connection().execute_batch("BEGIN IMMEDIATE")?;
    for job in jobs {
        match job(tables) {
            Ok(finish) => finishes.push(finish),
            Err((finish, error)) => {
                finishes.push(finish);
                return Err(error);
            }
        }
    }
    tables.connection().execute_batch("COMMIT")?;
    Ok(())
}

fn roll_back(tables: &mut Tables) -> Result<(), MailboxError> {
    // SQLite may have done so already.
    if !tables.connection().is_autocommit() {
        tables.connection().execute_batch("ROLLBACK")?;
    }
    tables.recount()
}

/// Whether the log is empty now; a reader may be in the way. `swept` is the count of changes at
/// the last success, so that nothing is done when nothing happened.
fn checkpoint(connection: &Connection, swept: &mut u64) -> Result<bool, MailboxError> {
    let changes = connection.total_changes();
    if changes == *swept {
        return Ok(true);
    }
    let query = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy: i64 = connection.query_row(query, [], |row| row.get(0))?;
    if busy == 0 {
        *swept = changes;
    }
    Ok(busy == 0)
}
