//! The threads of the embedded store: one writes in batches, one reads, one checkpoints the log.

use super::file::StoreFile;
use super::tables::Tables;
use crate::store::{Limits, MailboxError};
use m2_sqlite::pace::{Pace, Report};
use m2_sqlite::{Fault, StoreHealth};
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// The number of jobs that a thread queues before callers wait.
const QUEUE: usize = 1024;

/// The store's name in log lines.
const FILE: &str = "mailbox.db";

/// The maximum number of jobs in one transaction.
const BATCH: usize = 512;

/// A job of the writer. It does its work and returns a function that reports the result to the
/// caller after the commit.
type Job = Box<dyn FnOnce(&mut Tables) -> Told + Send>;

/// The function that reports the result; on failure also the error, which rolls the batch back.
type Told = Result<Finish, (Finish, MailboxError)>;
type Finish = Box<dyn FnOnce(Result<(), Lost>) + Send>;

/// A job of the reader.
type Query = Box<dyn FnOnce(&Connection) + Send>;

/// The fault that rolled a batch back; `None` if the file is not the cause.
type Lost = Option<Fault>;

enum Order {
    Work(Job),
    Sweep(oneshot::Sender<Result<bool, MailboxError>>),
}

/// A handle to the writer thread, which ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    health: Arc<StoreHealth>,
}

/// A handle to a thread that reads or checkpoints. It ends when the last handle is dropped.
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

    /// Returns the fault of the file.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.health.fault()
    }

    /// Runs `work` in the next transaction. Completes after its commit.
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

    /// Checkpoints the rest of the log and truncates it.
    pub(super) async fn sweep(&self) -> Result<bool, MailboxError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.orders.send(Order::Sweep(answer)).await;
        sent.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Reader {
    /// Starts a thread for a connection that does not write rows.
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

/// Records the result of a batch. After a failure it pauses, so that callers are slowed down too.
fn note(written: Result<(), Lost>, pace: &mut Pace, health: &StoreHealth) {
    let now = Instant::now();
    let report = match written {
        Ok(()) => pace.worked(now),
        Err(lost) => {
            let fault = lost.unwrap_or(Fault::Other);
            health.write_failed(fault);
            let jitter = crate::store::random().map_or(0, u32::from_ne_bytes);
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

/// Runs a batch and reports to its callers. On an error nothing of the batch is stored. If
/// `is_stale` is set, the counts do not match the file and are taken again first.
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
            // The checkpoint frees the space of the log. If the disk has no space for it, the log
            // stays.
            let mut swept = u64::MAX;
            let _ = checkpoint(tables.connection(), &mut swept);
        }
    }
    for finish in finishes {
        finish(written);
    }
    written
}

/// Runs one transaction. After the first failure the remaining jobs are dropped, which their
/// callers see as an unavailable store.
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
    // SQLite may already have rolled back.
    if !tables.connection().is_autocommit() {
        tables.connection().execute_batch("ROLLBACK")?;
    }
    tables.recount()
}

/// Truncates the log. Returns false if a reader blocked it. `swept` is the count of changes at the
/// last success, so that nothing is done if nothing changed.
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
