//! The search index: how fast texts enter it, how large it is, and how long a search takes.
//! The store is used directly, without a daemon.

use super::figure::Figure;
use super::options::Options;
use anyhow::Context as _;
use m2_core::ContactState;
use m2_crypto::{PeerId, Secret};
use m2_store::{
    ContactRow, ContactRowId, Gone, MessageKind, MessageRow, MessageRowId, MessageState, PageSize,
    Store, StoreFile,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use serde_json::json;
use std::time::Instant;

/// Messages that are stored in one transaction.
const BATCH: usize = 512;
/// Messages that are indexed in one transaction, as in the daemon.
const STEP: u32 = 200;
/// Different words of the English texts; the frequency of a word is inverse to its rank.
const WORDS: usize = 20_000;
/// Words in an English text, and characters in a Chinese one.
const LENGTH: usize = 40;
/// Characters that the Chinese texts use, from U+4E00 on.
const CHARACTERS: u32 = 3_000;
/// Searches that are timed.
const SEARCHES: usize = 200;
/// What a front end asks for at once.
const PAGE: PageSize = PageSize {
    rows: 50,
    bytes: 1 << 20,
};

/// Measures the index for texts of two kinds of scripts.
pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let count = options.texts;
    tokio::task::spawn_blocking(move || {
        let mut figures = of_script("search_english", english, count)?;
        figures.extend(of_script("search_chinese", chinese, count)?);
        Ok(figures)
    })
    .await?
}

type Script = fn(&mut StdRng, usize) -> String;

fn of_script(name: &'static str, script: Script, count: usize) -> anyhow::Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
    let store = file.open()?;
    let mut rng = StdRng::seed_from_u64(1);
    let start = Instant::now();
    let bytes = fill(&store, &mut rng, script, count)?;
    let stored = start.elapsed();
    store.empty_log()?;
    let without = std::fs::metadata(dir.path().join("store.db"))?.len();
    let start = Instant::now();
    while index_step(&store)? {}
    let indexed = start.elapsed();
    store.empty_log()?;
    let with = std::fs::metadata(dir.path().join("store.db"))?.len();

    let reader = file.open_reader()?;
    let mut times = Vec::new();
    for _ in 0..SEARCHES {
        let query = script(&mut rng, 2);
        let start = Instant::now();
        reader.search(&query, None, MessageRowId::new(i64::MAX), PAGE)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100);
    let p99 = at(99).context("no searches")?.as_secs_f64();
    let detail = json!({
        "texts": count,
        "text_bytes": bytes,
        "stored_a_second": count as f64 / stored.as_secs_f64(),
        "indexed_a_second": count as f64 / indexed.as_secs_f64(),
        "search_p50_ms": at(50).context("no searches")?.as_secs_f64() * 1_000.0,
        "index_bytes_per_text_byte": with.saturating_sub(without) as f64 / bytes as f64,
        "file_bytes_per_text_byte": with as f64 / bytes as f64,
    });
    Ok(vec![Figure::new(name, p99 * 1_000.0, "ms").detail(detail)])
}

/// Stores texts, and returns their length in bytes.
fn fill(store: &Store, rng: &mut StdRng, script: Script, count: usize) -> anyhow::Result<usize> {
    let contact = ContactRow::new(PeerId::from_bytes([1; 32]), ContactState::Contact, 1);
    let contact = store.insert_contact(&contact)?;
    let mut bytes = 0;
    for start in (0..count).step_by(BATCH) {
        store.begin()?;
        for number in start..count.min(start + BATCH) {
            let text = script(rng, LENGTH);
            bytes += text.len();
            store.insert_message(&message(contact, number, text))?;
        }
        store.commit()?;
    }
    Ok(bytes)
}

fn index_step(store: &Store) -> anyhow::Result<bool> {
    store.begin()?;
    let more = store.index_some(STEP)?;
    store.commit()?;
    Ok(more)
}

fn message(contact: ContactRowId, number: usize, text: String) -> MessageRow {
    MessageRow {
        row: MessageRowId::default(),
        id: (number as u128 + 1).to_be_bytes(),
        contact,
        kind: MessageKind::Content,
        own: false,
        incarnation: 1,
        state: MessageState::Delivered,
        author_ms: 1,
        stored_ms: 1,
        hash: [0; 32],
        media_type: String::new(),
        content: Some(text.into_bytes()),
        gone: Gone::No,
        expires_ms: None,
        reply_to: None,
        thread: None,
    }
}

/// Returns words of 2 to 9 letters. The word of rank r is r times as rare as the first.
fn english(rng: &mut StdRng, words: usize) -> String {
    let word = |_| {
        let rank = (WORDS as f64).powf(rng.random::<f64>()) as u64;
        let mut letters = StdRng::seed_from_u64(rank);
        let length = letters.random_range(2..10);
        (0..length)
            .map(|_| char::from(letters.random_range(b'a'..=b'z')))
            .collect::<String>()
    };
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// Returns characters whose frequencies fall with their rank in the same way.
fn chinese(rng: &mut StdRng, characters: usize) -> String {
    let character = |_| {
        let rank = f64::from(CHARACTERS).powf(rng.random::<f64>()) as u32;
        char::from_u32(0x4e00 + rank).unwrap_or('一')
    };
    (0..characters).map(character).collect()
}
