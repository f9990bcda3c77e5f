//! A look into the memory of a process.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

/// What is read at once: whole pages.
const CHUNK: usize = 1 << 20;
/// What follows on each chunk, so that nothing is cut in two.
const OVERLAP: usize = 4 << 10;
const WORD: usize = 8;

/// Something that is looked for, with a name.
pub struct Needle {
    name: String,
    bytes: Vec<u8>,
}

impl Needle {
    /// At least 16 bytes: then there is a whole aligned word in it, wherever it stands.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 2 * WORD && bytes.len() < OVERLAP);
        Self {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
        }
    }
}

/// The names of those that are in the memory that a process can write to: its heap, its stacks
/// and all else that is not mapped from a file.
///
/// Errors: there is no such process, or it may not be looked into.
pub fn found_in(pid: u32, needles: &[Needle]) -> io::Result<Vec<String>> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let search = Search::new(needles);
    let mut found = vec![false; needles.len()];
    let mut buffer = vec![0; CHUNK + OVERLAP];
    let mut looked_at = 0;
    for (start, end) in writable(&fs::read_to_string(format!("/proc/{pid}/maps"))?) {
        let mut place = start;
        while place < end {
            let length = usize::try_from(end - place).unwrap_or(usize::MAX);
            let part = &mut buffer[..length.min(CHUNK + OVERLAP)];
            // A part that was given back meanwhile can't be read.
            if memory.read_exact_at(part, place).is_ok() {
                search.look(part, &mut found);
                looked_at += part.len();
            }
            place += CHUNK as u64;
        }
    }
    assert!(looked_at > 1 << 20, "only {looked_at} bytes were read");
    let found = needles.iter().zip(found).filter(|(_, found)| *found);
    Ok(found.map(|(needle, _)| needle.name.clone()).collect())
}

/// The regions of a process that it can read and write.
fn writable(maps: &str) -> Vec<(u64, u64)> {
    let region = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        words.next()?.starts_with("rw").then_some(())?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(start)?, number(end)?))
    };
    maps.lines().filter_map(region).collect()
}

/// Finds needles by the aligned words in them: memory is long.
struct Search<'a> {
    needles: &'a [Needle],
    /// Which needle has such a word, and where.
    words: HashMap<u64, Vec<(usize, usize)>>,
    /// Whether a word of the map begins so.
    beginnings: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(needles: &'a [Needle]) -> Self {
        let mut words: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
        let mut beginnings = vec![false; 1 << 16];
        for (number, needle) in needles.iter().enumerate() {
            for (place, window) in needle.bytes.windows(WORD).take(WORD).enumerate() {
                let word = u64::from_ne_bytes(window.try_into().unwrap());
                words.entry(word).or_default().push((number, place));
                beginnings[beginning(word)] = true;
            }
        }
        Self {
            needles,
            words,
            beginnings,
        }
    }

    fn look(&self, memory: &[u8], found: &mut [bool]) {
        for (number, bytes) in memory.chunks_exact(WORD).enumerate() {
            let word = u64::from_ne_bytes(bytes.try_into().unwrap());
            if !self.beginnings[beginning(word)] {
                continue;
            }
            for (needle, place) in self.words.get(&word).into_iter().flatten() {
                let bytes = &self.needles[*needle].bytes;
                let whole = (number * WORD)
                    .checked_sub(*place)
                    .and_then(|start| memory.get(start..start + bytes.len()));
                found[*needle] |= whole == Some(bytes);
            }
        }
    }
}

fn beginning(word: u64) -> usize {
    (word & 0xffff) as usize
}

#[test]
fn it_is_found_wherever_it_stands() {
    let needles = [
        Needle::new("one", b"sixteen bytes are"),
        Needle::new("two", b"what is not there"),
    ];
    let search = Search::new(&needles);
    for place in 0..40 {
        let mut memory = vec![7; 100];
        memory[place..place + 17].copy_from_slice(b"sixteen bytes are");
        let mut found = vec![false; 2];
        search.look(&memory, &mut found);
        assert_eq!(found, [true, false], "at {place}");
    }
}
