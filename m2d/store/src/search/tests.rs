use super::super::tests::scratch;
use super::super::{
    ContactRow, Gone, MessageKind, MessageRow, MessageState, PageSize, Reader, StoreFile, pages,
};
use super::Store;
use crate::{ContactRowId, MessageRowId};
use m2_core::ContactState;
use m2_crypto::{PeerId, Secret};
use tempfile::TempDir;

const NEWEST: MessageRowId = MessageRowId::new(i64::MAX);

const ALL: PageSize = PageSize {
    rows: 1_000,
    bytes: u64::MAX,
};
/// The key that [`scratch`] uses.
const KEY: [u8; 32] = [7; 32];

struct Bench {
    dir: TempDir,
    store: Store,
    reader: Reader,
    contact: ContactRowId,
}

impl Bench {
    fn new() -> Self {
        let (dir, store) = scratch();
        let reader = StoreFile::new(dir.path(), Secret::new(KEY)).open_reader();
        let contact = ContactRow::new(PeerId::from_bytes([1; 32]), ContactState::Contact, 1);
        let contact = store.insert_contact(&contact).unwrap();
        Self {
            reader: reader.unwrap(),
            dir,
            store,
            contact,
        }
    }

    fn put(&self, text: &str) -> MessageRowId {
        let count = self.store.newest_row().unwrap().next();
        let message = MessageRow {
            row: MessageRowId::default(),
            id: i128::from(count.number()).to_be_bytes(),
            contact: self.contact,
            kind: MessageKind::Content,
            own: false,
            incarnation: 1,
            state: MessageState::Delivered,
            author_ms: 1,
            stored_ms: 1,
            hash: [0; 32],
            media_type: String::new(),
            content: Some(text.as_bytes().to_vec()),
            gone: Gone::No,
            expires_ms: None,
            reply_to: None,
            thread: None,
        };
        self.store.insert_message(&message).unwrap()
    }

    fn index(&self) {
        while self.store.index_some(100).unwrap() {}
    }

    fn found(&self, query: &str) -> Vec<MessageRowId> {
        let page = self.reader.search(query, None, NEWEST, ALL).unwrap();
        page.messages.iter().map(|shown| shown.row).collect()
    }

    /// Returns whether a text is in any page of the store after a checkpoint of the log.
    fn is_on_disk(&self, text: &str) -> bool {
        assert!(self.store.empty_log().unwrap());
        pages::hold(self.dir.path(), &KEY, text.as_bytes())
    }
}

#[test]
fn words_are_found_inside_texts_of_all_languages() {
    let bench = Bench::new();
    let cases = [
        (
            "今天天气真好",
            &["今天天气真好", "天气", "天", "好", "真好"][..],
        ),
        (
            "すべての人間は権利について平等である",
            &["権利", "人間は", "る", "につ"],
        ),
        (
            "모든 인간은 권리에 있어 평등하다",
            &["권리", "인간", "평등하다"],
        ),
        ("ผมรักประเทศไทย", &["ประเทศ", "ไทย"]),
        ("see you 👍 soon", &["👍", "soon", "you 👍"]),
        ("👨‍👩‍👧🇯🇵", &["👩", "🇯🇵"]),
        ("Grüße aus Köln", &["grüße", "KÖLN", "koln"]),
        ("iPhone手机壳 20°C", &["手机", "iphone手机", "20°c"]),
        ("ｶﾀｶﾅ ＡＢＣ", &["カタカナ", "abc"]),
    ];
    let rows: Vec<MessageRowId> = cases.iter().map(|(text, _)| bench.put(text)).collect();
    bench.index();
    for ((text, queries), row) in cases.iter().zip(rows) {
        for query in *queries {
            assert_eq!(bench.found(query), [row], "{query} in {text}");
        }
    }
    for absent in ["天今", "好真", "利権", "👎", "hone", "soo", "手壳"] {
        assert!(bench.found(absent).is_empty(), "{absent}");
    }
}

#[test]
fn every_part_of_a_run_without_spaces_is_found_and_nothing_else() {
    let bench = Bench::new();
    // All runs of length four over two characters.
    let text = |bits: u32| -> String {
        (0..4)
            .map(|at| if bits >> at & 1 == 1 { '日' } else { '本' })
            .collect()
    };
    for bits in 0..16 {
        bench.put(&text(bits));
    }
    bench.index();
    for length in 1..=4_u32 {
        for bits in 0..1_u32 << length {
            let query: String = text(bits).chars().take(length as usize).collect();
            let expected = (0..16).rev().filter(|bits| text(*bits).contains(&query));
            let expected: Vec<MessageRowId> = expected
                .map(|bits| MessageRowId::new(i64::from(bits) + 1))
                .collect();
            assert_eq!(bench.found(&query), expected, "{query}");
        }
    }
}

#[test]
fn an_edit_replaces_the_indexed_text() {
    let bench = Bench::new();
    let row = bench.put("first words");
    bench.index();
    bench
        .store
        .edit_message(row, "", "第二 words".as_bytes())
        .unwrap();
    assert!(bench.found("first").is_empty());
    assert_eq!(bench.found("第二"), [row]);
    bench
        .store
        .edit_message(row, "image/png", b"bytes")
        .unwrap();
    assert!(bench.found("words").is_empty());
    bench.store.edit_message(row, "", b"text again").unwrap();
    assert_eq!(bench.found("again"), [row]);
}

#[test]
fn the_words_of_deleted_texts_are_overwritten_immediately() {
    let bench = Bench::new();
    let filler = |number: i32| format!("ordinary words of message {number}");
    let long = "and a long tail ".repeat(1_000);
    for number in 0..50 {
        bench.put(&filler(number));
    }
    let retracted = bench.put(&format!("the password is quokkaretracted {long}"));
    let edited = bench.put(&format!("the password is wombatedited {long}"));
    let expired = bench.put("the password is zebraexpired");
    for number in 50..400 {
        bench.put(&filler(number));
    }
    bench.index();
    // The index omits the prefix that a word shares with the preceding one.
    let words = ["kkaretracted", "mbatedited", "braexpired"];
    for word in words {
        assert!(bench.is_on_disk(word), "the test finds nothing: {word}");
    }
    bench.store.begin().unwrap();
    bench
        .store
        .erase_message(retracted, Gone::Retracted)
        .unwrap();
    bench.store.edit_message(edited, "", b"nothing").unwrap();
    bench.store.erase_message(expired, Gone::Expired).unwrap();
    bench.store.commit().unwrap();
    for word in words {
        assert!(!bench.is_on_disk(word), "{word} is still in the file");
    }
    assert_eq!(bench.found("ordinary").len(), 400);
    let check = "INSERT INTO search(search) VALUES ('integrity-check')";
    bench.store.connection.execute_batch(check).unwrap();
}

/// Measures the cost of the index. Not part of the suite.
#[test]
#[ignore = "measures: cargo test -p m2d --lib cost_of_the_index -- --ignored --nocapture"]
fn cost_of_the_index() {
    let words = [
        "weather", "meeting", "tomorrow", "please", "the", "report", "Köln", "see", "you",
    ];
    let han = "今天天气真好我们去公园散步吧明日会议在东京举行";
    for dense in [false, true] {
        let bench = Bench::new();
        bench.store.begin().unwrap();
        for number in 0..100_000_usize {
            let text: String = if dense {
                han.chars()
                    .cycle()
                    .skip(number * 7 % 23)
                    .step_by(1 + number % 3)
                    .take(36)
                    .collect()
            } else {
                let pick = |at: usize| words[(number * 31 + at * at * 7) % words.len()];
                (0..18).map(pick).collect::<Vec<_>>().join(" ") + &format!(" n{number}")
            };
            bench.put(&text);
        }
        bench.store.commit().unwrap();
        let size = |store: &Store| -> i64 {
            let sql = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name LIKE 'search%'";
            store
                .connection
                .query_row(sql, [], |row| row.get(0))
                .unwrap()
        };
        let began = std::time::Instant::now();
        loop {
            bench.store.begin().unwrap();
            let more = bench.store.index_some(200).unwrap();
            bench.store.commit().unwrap();
            if !more {
                break;
            }
        }
        let built = began.elapsed();
        println!(
            "dense {dense}: {built:?} for 100,000, {} bytes a message",
            size(&bench.store) / 100_000
        );
        for query in if dense {
            ["天气", "天", "京举行"]
        } else {
            ["weather", "n777", "köln please"]
        } {
            let began = std::time::Instant::now();
            let found = bench.reader.search(query, None, NEWEST, ALL).unwrap();
            println!(
                "  {query}: {} in {:?}",
                found.messages.len(),
                began.elapsed()
            );
        }
        let began = std::time::Instant::now();
        for row in 1..=1_000 {
            bench.store.begin().unwrap();
            bench
                .store
                .erase_message(MessageRowId::new(row * 50), Gone::Retracted)
                .unwrap();
            bench.store.commit().unwrap();
        }
        println!("  1,000 retractions, one at a time: {:?}", began.elapsed());
        let began = std::time::Instant::now();
        bench.store.begin().unwrap();
        for row in 50_001..50_065 {
            bench
                .store
                .erase_message(MessageRowId::new(row), Gone::Erased)
                .unwrap();
        }
        bench.store.commit().unwrap();
        println!("  64 messages erased in one step: {:?}", began.elapsed());
    }
}
