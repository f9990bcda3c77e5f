//! Searches the memory of a process.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper: the indices are bounded by construction"
)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes read at once: whole pages.
const CHUNK: usize = 1 << 20;
/// Bytes of the next chunk that are read too, so that no needle is cut in two.
const OVERLAP: usize = 4 << 10;
const WORD: usize = 8;

/// A byte string to search for, with a name.
#[derive(Debug)]
pub struct Needle {
    name: String,
    bytes: Vec<u8>,
}

impl Needle {
    /// Takes at least 16 bytes, so that they contain a whole aligned word at any offset.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 2 * WORD && bytes.len() < OVERLAP);
        Self {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the byte string.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns the names of the needles that occur in the writable memory of a process: its heap, its
/// stacks and its other writable mappings.
///
/// Errors: the process does not exist, or its memory may not be read.
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
            // Memory that was unmapped meanwhile cannot be read.
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

/// The regions that the process can read and write.
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

/// Finds needles by the aligned words in them, because the memory is large.
struct Search<'a> {
    needles: &'a [Needle],
    /// For each word, the needles that contain it and the offset in each.
    words: HashMap<u64, Vec<(usize, usize)>>,
    /// True at the low 16 bits of each word in the map.
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
fn a_needle_is_found_at_any_offset() {
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
