//! The embedded store: the suite, and the contents of its file.

use crate::letters::{NOW, collect, deposit, deposit_of, id, letter, open_box, owner, token};
use crate::suite::{self, Backend};
use crate::traces;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use m2_crypto::Secret;
use m2_mailbox::store::{Deposited, EmbeddedStore, Limits, MailboxError, MailboxStore};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Embedded {
    dir: TempDir,
    key: Option<Secret<32>>,
}

impl Backend for Embedded {
    fn open(&self, limits: Limits) -> BoxFuture<'_, [Arc<dyn MailboxStore>; 2]> {
        let store: Arc<dyn MailboxStore> =
            Arc::new(EmbeddedStore::open(self.dir.path(), self.key.clone(), limits).unwrap());
        futures::future::ready([Arc::clone(&store), store]).boxed()
    }
}

fn open(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(dir, None, Limits::default()).unwrap()
}

/// Returns all bytes of letters and ids from `range`, in pieces that occur nowhere else.
fn pieces(range: std::ops::Range<u64>, size: usize) -> Vec<Vec<u8>> {
    let of = |number| {
        let letter = letter(number, size);
        let blocks = letter.chunks(16).map(<[u8]>::to_vec).collect::<Vec<_>>();
        blocks.into_iter().chain([id(number).to_vec()])
    };
    range.flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    for key in [None, Some(Secret::new([7; 32]))] {
        for (name, check) in suite::ALL {
            println!("{name}");
            let dir = tempfile::tempdir().unwrap();
            let key = key.clone();
            check(&Embedded { dir, key }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_refused_and_the_file_is_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let key = |byte| Some(Secret::new([byte; 32]));
    let store = EmbeddedStore::open(dir.path(), key(1), Limits::default()).unwrap();
    open_box(&store, 1, 4).await;
    store.deposit(deposit(0), NOW).await.unwrap();
    let needles = [pieces(0..1, 1024), vec![owner(1).as_bytes().to_vec()]].concat();
    assert_eq!(traces::count(dir.path(), &needles), 0);
    for wrong in [None, key(2)] {
        let opened = EmbeddedStore::open(dir.path(), wrong, Limits::default());
        assert!(matches!(opened, Err(MailboxError::WrongKey)));
    }
}

/// The store keeps box, id, letter and hour only (`docs/spec/mailbox-store.md#what-is-kept`).
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_on_disk_has_only_box_id_content_and_hour() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    open_box(&store, 1, 40).await;
    for number in 0..20 {
        let later = number * 1000;
        store.deposit(deposit(number), NOW + later).await.unwrap();
    }
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    let schema = strings(
        &file,
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1",
    );
    assert_eq!(schema, ["boxes", "letters", "settings", "tokens"]);
    let columns = "SELECT m.name || '.' || p.name FROM sqlite_master m, pragma_table_info(m.name) p
                   WHERE m.type = 'table' ORDER BY m.name, p.cid";
    let expected = [
        "boxes.number",
        "boxes.owner",
        "letters.key",
        "letters.id",
        "letters.expiry",
        "letters.letter",
        "settings.name",
        "settings.value",
        "tokens.box",
        "tokens.hash",
    ];
    assert_eq!(strings(&file, columns), expected);
    assert_eq!(strings(&file, "SELECT name FROM settings"), ["salt"]);
    let hours = strings(&file, "SELECT DISTINCT CAST(expiry AS TEXT) FROM letters");
    let hour = ((NOW + 7 * 24 * 3_600_000) / 3_600_000).to_string();
    assert_eq!(
        hours,
        [hour],
        "one and the same, whenever they came within the hour"
    );
    let keys = "SELECT hex(id) FROM letters ORDER BY key";
    let arrived: Vec<_> = (0..20)
        .map(id)
        .map(|id| data_encoding::HEXUPPER.encode(&id))
        .collect();
    assert_ne!(strings(&file, keys), arrived, "keys tell no order");
    assert_eq!(
        strings(
            &file,
            "SELECT DISTINCT CAST(key >> 40 AS TEXT) FROM letters"
        )
        .len(),
        1
    );
}

fn strings(file: &Connection, query: &str) -> Vec<String> {
    let mut statement = file.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_letters_are_erased_from_every_file() {
    const COUNT: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    open_box(&store, 1, COUNT).await;
    let size = |number| if number % 8 == 0 { 8192 } else { 1024 };
    let deposits = (0..COUNT).map(|number| store.deposit(deposit_of(number, size(number)), NOW));
    join_all(deposits).await;
    let gone: Vec<u64> = (0..COUNT).filter(|number| number % 3 != 0).collect();
    let needles = |numbers: &[u64]| -> Vec<_> {
        let of = |&number: &u64| pieces(number..number + 1, size(number));
        numbers.iter().flat_map(of).collect()
    };
    let (gone_pieces, spent) = (needles(&gone), (0..COUNT).map(|n| token(n).to_vec()));
    let sample: Vec<_> = gone_pieces.iter().step_by(97).cloned().collect();
    // A few pieces are split across two pages.
    let there = traces::count(dir.path(), &sample);
    assert!(there * 10 > sample.len() * 9, "they were there");
    // Deposits continue while letters are deleted, so that pages are split and merged.
    for part in gone.chunks(50) {
        store
            .remove(owner(1), part.iter().copied().map(id).collect())
            .await
            .unwrap();
    }
    sweep(&store).await;
    let left = blocks(dir.path());
    let found: Vec<_> = gone_pieces
        .iter()
        .filter(|piece| left.contains(*piece))
        .collect();
    assert!(
        found.is_empty(),
        "{} pieces of deleted letters",
        found.len()
    );
    let spent: Vec<_> = spent.collect();
    assert_eq!(
        spent
            .iter()
            .filter(|token| left.contains(&token[..16]))
            .count(),
        0
    );
    let kept: Vec<u64> = (0..COUNT).filter(|number| number % 3 == 0).collect();
    assert_eq!(collect(&store, 1, 1 << 20).await.len(), kept.len());
    assert_eq!(
        store.purge(NOW + 8 * 24 * 3_600_000, 10_000).await.unwrap(),
        kept.len()
    );
    sweep(&store).await;
    let left = blocks(dir.path());
    assert_eq!(
        needles(&kept)
            .iter()
            .filter(|piece| left.contains(*piece))
            .count(),
        0
    );
}

async fn sweep(store: &EmbeddedStore) {
    for _ in 0..600 {
        if store.sweep().await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the log could not be cut");
}

/// Returns every run of 16 bytes in the store's files, to look up many needles at once.
fn blocks(dir: &Path) -> std::collections::HashSet<Vec<u8>> {
    let mut found = std::collections::HashSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        found.extend(file.windows(16).map(<[u8]>::to_vec));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_removal_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    open_box(&store, 1, 40).await;
    join_all((0..40).map(|number| store.deposit(deposit(number), NOW))).await;
    drop(store);
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    file.busy_timeout(Duration::from_secs(60)).unwrap();
    file.execute("DELETE FROM boxes", []).unwrap();
    let store = open(dir.path());
    assert_eq!(store.totals().await.unwrap().letters, 0);
    assert_eq!(strings(&file, "SELECT hex(id) FROM letters").len(), 0);
}

const CHILD_DIR: &str = "M2_MAILBOX_STORE_CHILD";
const CHILD_START: &str = "M2_MAILBOX_STORE_START";
const CHILD_TOKENS: u64 = 30_000;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_no_acknowledged_letter() {
    let dir = tempfile::tempdir().unwrap();
    open_box(&open(dir.path()), 1, CHILD_TOKENS).await;
    for (round, lines) in [(0, 20), (1, 333), (2, 1000)] {
        let acknowledged = deposit_until_killed(dir.path(), round * 10_000, lines);
        assert!(acknowledged.len() >= lines, "round {round}");
        let store = open(dir.path());
        let there: BTreeSet<_> = collect(&store, 1, 1 << 20).await.into_iter().collect();
        for number in acknowledged {
            assert!(
                there.contains(&(id(number), letter(number, 1024))),
                "{number}"
            );
            let mut second = deposit(u64::MAX);
            second.token = token(number);
            let outcome = store.deposit(second, NOW).await.unwrap();
            assert_eq!(outcome, Deposited::TokenUnknown, "spent");
        }
        let tokens = store.token_count(owner(1)).await.unwrap();
        assert_eq!(tokens + there.len() as u64, CHILD_TOKENS, "both or neither");
    }
}

/// Returns the numbers that the child reported as stored before it was killed.
fn deposit_until_killed(dir: &Path, start: u64, lines: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "embedded::child_that_deposits",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD_DIR, dir)
        .env(CHILD_START, start.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut numbers = Vec::new();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in output.by_ref().map_while(Result::ok) {
        numbers.extend(
            line.strip_prefix("stored ")
                .and_then(|n| n.parse::<u64>().ok()),
        );
        if numbers.len() == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of another test"]
async fn child_that_deposits() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let store = open(Path::new(&dir));
    let start: u64 = std::env::var(CHILD_START).unwrap().parse().unwrap();
    let tasks = (0..32).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in (start + task..start + 10_000).step_by(32) {
                assert_eq!(
                    store.deposit(deposit(number), NOW).await.unwrap(),
                    Deposited::Stored
                );
                // One write per line, so that a line is either complete or missing.
                std::io::stdout()
                    .write_all(format!("stored {number}\n").as_bytes())
                    .unwrap();
            }
        })
    });
    join_all(tasks).await;
}
