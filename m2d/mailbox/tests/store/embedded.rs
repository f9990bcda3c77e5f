//! The embedded store: the suite, and the contents of its file.

use crate::letters::{
    NOW, SIZE, collect, deposit, deposit_of, deposit_to, key, letter, nonce, open_box, owner,
    period, rival, token,
};
use crate::suite::{self, Backend};
use crate::traces;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use m2_crypto::Secret;
use m2_mailbox::store::{Deposited, EmbeddedStore, Limits, MailboxError, MailboxStore};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashSet};
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

/// Returns all bytes of a letter, in pieces that occur nowhere else.
fn pieces(number: u64, size: usize) -> Vec<Vec<u8>> {
    let letter = letter(number, size);
    letter.chunks(16).map(<[u8]>::to_vec).collect()
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
    let file_key = |byte| Some(Secret::new([byte; 32]));
    let store = EmbeddedStore::open(dir.path(), file_key(1), Limits::default()).unwrap();
    open_box(&store, 1).await;
    store.deposit(deposit(0), NOW).await.unwrap();
    let mut needles = pieces(0, SIZE);
    needles.push(nonce(0).as_bytes().to_vec());
    needles.push(owner(1).as_bytes().to_vec());
    needles.push(key(1).expose().to_vec());
    assert_eq!(traces::count(dir.path(), &needles), 0);
    for wrong in [None, file_key(2)] {
        let opened = EmbeddedStore::open(dir.path(), wrong, Limits::default());
        assert!(matches!(opened, Err(MailboxError::WrongKey)));
    }
}

/// The store keeps what `docs/spec/mailbox-store.md#what-is-kept` names, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_has_no_time_and_no_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    open_box(&store, 1).await;
    for number in 0..40 {
        let later = number * 1000;
        store.deposit(deposit(number), NOW + later).await.unwrap();
    }
    let taken = (20..40).map(nonce).collect();
    store.take(owner(1), taken).await.unwrap();
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    let columns = "SELECT m.name || '.' || p.name FROM sqlite_master m, pragma_table_info(m.name) p
                   WHERE m.type = 'table' ORDER BY m.name, p.cid";
    let expected = [
        "boxes.number",
        "boxes.owner",
        "boxes.key",
        "letters.key",
        "letters.nonce",
        "letters.mark",
        "letters.period",
        "letters.expiry",
        "letters.letter",
        "marks.key",
        "marks.nonce",
        "marks.mark",
        "marks.period",
        "settings.name",
        "settings.value",
    ];
    assert_eq!(strings(&file, columns), expected);
    let settings = strings(&file, "SELECT name FROM settings ORDER BY 1");
    assert_eq!(settings, ["mark salt", "salt"]);
    let hours = strings(&file, "SELECT DISTINCT CAST(expiry AS TEXT) FROM letters");
    let hour = ((NOW + 7 * 24 * 3_600_000) / 3_600_000).to_string();
    assert_eq!(
        hours,
        [hour],
        "one and the same, whenever they came within the hour"
    );
    for table in ["letters", "marks"] {
        let periods = format!("SELECT DISTINCT CAST(period AS TEXT) FROM {table}");
        assert_eq!(strings(&file, &periods), [period().number().to_string()]);
    }
    let hex = |number| data_encoding::HEXUPPER.encode(nonce(number).as_bytes());
    let letters = strings(&file, "SELECT hex(nonce) FROM letters ORDER BY key");
    let arrived: Vec<_> = (0..20).map(hex).collect();
    assert_ne!(letters, arrived, "keys tell no order");
    let marks = strings(&file, "SELECT hex(nonce) FROM marks");
    let mut sorted: Vec<_> = (20..40).map(hex).collect();
    assert_ne!(marks, sorted, "keys tell no order");
    sorted.sort_unstable();
    let mut known = marks.clone();
    known.sort_unstable();
    assert_eq!(known, sorted);
    let boxes = "SELECT DISTINCT CAST(key >> 40 AS TEXT) FROM letters";
    assert_eq!(strings(&file, boxes).len(), 1);
}

fn strings(file: &Connection, query: &str) -> Vec<String> {
    let mut statement = file.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_letters_are_erased_from_every_file() {
    const COUNT: u64 = 240;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    open_box(&store, 1).await;
    let size = |number| if number % 8 == 0 { 2 * SIZE } else { SIZE };
    let deposits = (0..COUNT).map(|number| store.deposit(deposit_of(number, size(number)), NOW));
    join_all(deposits).await;
    // Two thirds are taken, the others expire.
    let (taken, kept): (Vec<u64>, Vec<u64>) = (0..COUNT).partition(|number| number % 3 != 0);
    let letters = |numbers: &[u64]| -> Vec<_> {
        let of = |&number: &u64| pieces(number, size(number));
        numbers.iter().flat_map(of).collect()
    };
    let sample: Vec<_> = letters(&taken).iter().step_by(397).cloned().collect();
    // A few pieces are split across two pages.
    let there = traces::count(dir.path(), &sample);
    assert!(there * 10 > sample.len() * 9, "they were there");
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    let expired_marks = marks(&file, "letters", &kept);
    for part in taken.chunks(50) {
        let part = part.iter().copied().map(nonce).collect();
        store.take(owner(1), part).await.unwrap();
    }
    let taken_marks = marks(&file, "marks", &taken);
    sweep(&store).await;
    let left = blocks(dir.path());
    assert_eq!(found(&left, &letters(&taken)), 0, "of taken letters");
    // Their nonces and marks are all that is left of them.
    let nonces: Vec<_> = taken
        .iter()
        .map(|one| nonce(*one).as_bytes().to_vec())
        .collect();
    assert!(found(&left, &nonces) * 10 > nonces.len() * 9);
    let tags: Vec<_> = (0..COUNT)
        .map(|one| token(1, one).to_bytes()[18..].to_vec())
        .collect();
    assert_eq!(found(&left, &tags), 0, "of tokens");

    assert_eq!(collect(&store, 1, 1 << 20).await.len(), kept.len());
    let week = NOW + 8 * 24 * 3_600_000;
    assert_eq!(store.purge(week, 10_000).await.unwrap(), kept.len());
    sweep(&store).await;
    let left = blocks(dir.path());
    assert_eq!(found(&left, &letters(&kept)), 0, "of expired letters");
    let nonces: Vec<_> = kept
        .iter()
        .map(|one| nonce(*one).as_bytes().to_vec())
        .collect();
    assert_eq!(found(&left, &nonces), 0, "no nonce of an expired letter");
    assert_eq!(found(&left, &expired_marks), 0, "no mark of it, either");

    let end = period().mark_kept_until_s() * 1_000;
    assert_eq!(store.purge(end, 10_000).await.unwrap(), taken.len());
    sweep(&store).await;
    let left = blocks(dir.path());
    let nonces: Vec<_> = (0..COUNT)
        .map(|one| nonce(one).as_bytes().to_vec())
        .collect();
    assert_eq!(found(&left, &nonces), 0);
    assert_eq!(found(&left, &taken_marks), 0);
}

/// Returns the marks in a table, which must be those of the letters `numbers`.
fn marks(file: &Connection, table: &str, numbers: &[u64]) -> Vec<Vec<u8>> {
    let query = format!("SELECT nonce, mark FROM {table}");
    let mut statement = file.prepare(&query).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let rows: Vec<([u8; 16], Vec<u8>)> = rows.unwrap().map(Result::unwrap).collect();
    let marks: Vec<_> = numbers
        .iter()
        .map(|number| {
            let of = |row: &&([u8; 16], Vec<u8>)| row.0 == *nonce(*number).as_bytes();
            rows.iter().find(of).unwrap().1.clone()
        })
        .collect();
    assert!(marks.iter().all(|mark| mark.len() == 16));
    marks
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_key_of_a_box_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    open_box(&store, 1).await;
    open_box(&store, 2).await;
    let there = |number| traces::count(dir.path(), &[key(number).expose().to_vec()]);
    assert_eq!((there(1), there(2)), (1, 1));
    assert!(store.set_key(owner(1), key(11)).await.unwrap());
    store.remove_box(owner(2)).await.unwrap();
    sweep(&store).await;
    assert_eq!((there(1), there(2), there(11)), (0, 0, 1));
}

/// A file of the earlier schema keeps its boxes, which admit nothing until their owners set a key.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_earlier_schema_keeps_its_boxes_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    file.execute_batch(
        "CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE boxes (number INTEGER PRIMARY KEY, owner BLOB NOT NULL UNIQUE);
         CREATE TABLE tokens (box INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (box, hash))
             WITHOUT ROWID;
         CREATE TABLE letters (key INTEGER PRIMARY KEY, id BLOB NOT NULL, expiry INTEGER NOT NULL,
             letter BLOB NOT NULL);
         CREATE INDEX letters_by_expiry ON letters (expiry, length(letter));
         INSERT INTO settings VALUES ('salt', randomblob(32));
         INSERT INTO tokens VALUES (77, CAST('an unused token of a contact' AS BLOB));
         INSERT INTO letters VALUES
             (77 << 40, randomblob(16), 1, CAST('a letter of the earlier format' AS BLOB));
         PRAGMA user_version = 1;",
    )
    .unwrap();
    let boxes = "INSERT INTO boxes VALUES (77, ?1)";
    file.execute(boxes, [owner(1).as_bytes()]).unwrap();
    drop(file);

    let store = open(dir.path());
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.boxes, totals.letters), (1, 0));
    assert!(store.has_box(owner(1)).await.unwrap());
    assert!(collect(&store, 1, 1 << 20).await.is_empty());
    let outcome = store.deposit(deposit(0), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Refused);
    sweep(&store).await;
    let gone = [
        "an unused token of a contact",
        "a letter of the earlier format",
    ];
    let gone = gone.map(|text| text.as_bytes().to_vec());
    assert_eq!(traces::count(dir.path(), &gone), 0);
    assert!(store.set_key(owner(1), key(1)).await.unwrap());
    let outcome = store.deposit(deposit(0), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Stored);
    drop(store);
    let there = collect(&open(dir.path()), 1, 1 << 20).await;
    assert_eq!(there, [(nonce(0), letter(0, SIZE))]);
}

/// A file of version 2 had its marks in the order of box and nonce.
#[tokio::test(flavor = "multi_thread")]
async fn the_marks_of_an_earlier_schema_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 1..=2 {
        open_box(&store, number).await;
        store.deposit(deposit_to(number, 0), NOW).await.unwrap();
        store.deposit(deposit_to(number, 1), NOW).await.unwrap();
        store.take(owner(number), vec![nonce(0)]).await.unwrap();
    }
    drop(store);
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    file.busy_timeout(Duration::from_secs(60)).unwrap();
    file.execute_batch(
        "DROP INDEX marks_by_period;
         ALTER TABLE marks RENAME TO moved;
         CREATE TABLE marks (box INTEGER NOT NULL, nonce BLOB NOT NULL, mark BLOB NOT NULL,
             period INTEGER NOT NULL, PRIMARY KEY (box, nonce)) WITHOUT ROWID;
         CREATE INDEX marks_by_period ON marks (period);
         INSERT INTO marks SELECT key >> 40, nonce, mark, period FROM moved;
         INSERT INTO marks VALUES (1, randomblob(16), randomblob(16), 1);
         DROP TABLE moved;
         PRAGMA user_version = 2;",
    )
    .unwrap();
    // A mark of a box that was removed in the meantime.
    file.execute_batch("UPDATE marks SET box = 7 WHERE period = 1")
        .unwrap();
    drop(file);
    let store = open(dir.path());
    assert_eq!(store.totals().await.unwrap().letters, 2);
    for number in 1..=2 {
        let again = store.deposit(deposit_to(number, 0), NOW).await.unwrap();
        assert_eq!(again, Deposited::AlreadyThere, "box {number}");
        let mut other = deposit_to(number, 0);
        other.letter = deposit_to(number, 1).letter;
        let refused = store.deposit(other, NOW).await.unwrap();
        assert_eq!(refused, Deposited::Refused, "box {number}");
    }
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    let marks = strings(&file, "SELECT hex(nonce) FROM marks");
    assert_eq!(marks.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    file.busy_timeout(Duration::from_secs(60)).unwrap();
    file.execute_batch("PRAGMA user_version = 4").unwrap();
    let opened = EmbeddedStore::open(dir.path(), None, Limits::default());
    assert!(matches!(opened, Err(MailboxError::TooNew)));
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
fn blocks(dir: &Path) -> HashSet<[u8; 16]> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let runs = file
            .windows(16)
            .map(|run| <[u8; 16]>::try_from(run).unwrap());
        found.extend(runs);
    }
    found
}

/// Returns how many of `needles`, each of 16 bytes, are in `blocks`.
fn found(blocks: &HashSet<[u8; 16]>, needles: &[Vec<u8>]) -> usize {
    let is_there = |needle: &&Vec<u8>| blocks.contains(needle.as_slice());
    needles.iter().filter(is_there).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_removal_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 1..=3 {
        open_box(&store, number).await;
    }
    join_all((0..40).map(|number| store.deposit(deposit(number), NOW))).await;
    let taken = (0..30).map(nonce).collect();
    store.take(owner(1), taken).await.unwrap();
    // Boxes 2 and 3 have a mark and no letter.
    for number in 2..=3 {
        store.deposit(deposit_to(number, 0), NOW).await.unwrap();
        store.take(owner(number), vec![nonce(0)]).await.unwrap();
    }
    drop(store);
    let file = Connection::open(dir.path().join("mailbox.db")).unwrap();
    file.busy_timeout(Duration::from_secs(60)).unwrap();
    let removed = "DELETE FROM boxes WHERE owner IN (?1, ?2)";
    let owners = [owner(1), owner(3)].map(|owner| *owner.as_bytes());
    file.execute(removed, owners).unwrap();
    let store = open(dir.path());
    assert_eq!(store.totals().await.unwrap().letters, 0);
    assert!(strings(&file, "SELECT hex(nonce) FROM letters").is_empty());
    let marks = strings(&file, "SELECT hex(nonce) FROM marks");
    assert_eq!(marks.len(), 1, "that of box 2");
}

const CHILD_DIR: &str = "M2_MAILBOX_STORE_CHILD";
const CHILD_START: &str = "M2_MAILBOX_STORE_START";

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_no_acknowledged_letter_and_no_mark() {
    let dir = tempfile::tempdir().unwrap();
    open_box(&open(dir.path()), 1).await;
    for (round, lines) in [(0, 20), (1, 333), (2, 1000)] {
        let (stored, taken) = run_until_killed(dir.path(), round * 10_000, lines);
        assert!(stored.len() >= lines, "round {round}");
        let store = open(dir.path());
        let there: BTreeSet<_> = collect(&store, 1, 1 << 20).await.into_iter().collect();
        for number in stored {
            let is_there = there.contains(&(nonce(number), letter(number, SIZE)));
            assert!(is_there || is_one_to_take(number), "{number}");
            assert!(!(is_there && taken.contains(&number)), "{number}");
            let outcome = store.deposit(deposit(number), NOW).await.unwrap();
            assert_eq!(outcome, Deposited::AlreadyThere);
            let outcome = store.deposit(rival(number), NOW).await.unwrap();
            assert_eq!(outcome, Deposited::Refused);
        }
    }
}

/// Returns whether the child takes a letter that it has stored.
const fn is_one_to_take(number: u64) -> bool {
    number.is_multiple_of(3)
}

/// Returns the numbers that the child reported as stored, and those that it reported as taken,
/// before it was killed.
fn run_until_killed(dir: &Path, start: u64, lines: usize) -> (Vec<u64>, HashSet<u64>) {
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
    let (mut stored, mut taken) = (Vec::new(), HashSet::new());
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in output.by_ref().map_while(Result::ok) {
        let number = |what| line.strip_prefix(what)?.parse::<u64>().ok();
        stored.extend(number("stored "));
        taken.extend(number("taken "));
        if stored.len() == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    (stored, taken)
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
                say(&format!("stored {number}\n"));
                if is_one_to_take(number) {
                    store.take(owner(1), vec![nonce(number)]).await.unwrap();
                    say(&format!("taken {number}\n"));
                }
            }
        })
    });
    join_all(tasks).await;
}

/// Prints a line in one write, so that it is either complete or missing.
fn say(line: &str) {
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}
