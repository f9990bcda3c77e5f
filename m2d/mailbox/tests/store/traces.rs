//! Searches files for bytes.

use std::path::Path;

/// Returns how many of `needles` occur in any file under `dir`, in binary or in hexadecimal.
pub(crate) fn count(dir: &Path, needles: &[Vec<u8>]) -> usize {
    let mut files = Vec::new();
    read_all(dir, &mut files);
    let found = |needle: &&Vec<u8>| {
        let hex = data_encoding::HEXLOWER.encode(needle);
        files
            .iter()
            .any(|file| has(file, needle) || has(file, hex.as_bytes()))
    };
    needles.iter().filter(found).count()
}

fn read_all(dir: &Path, files: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, files);
        } else if let Ok(bytes) = std::fs::read(&path) {
            files.push(bytes);
        }
    }
}

fn has(file: &[u8], needle: &[u8]) -> bool {
    let (first, rest) = needle.split_first().unwrap();
    let mut tail = file;
    while let Some(at) = tail.iter().position(|byte| byte == first) {
        tail = &tail[at + 1..];
        if tail.starts_with(rest) {
            return true;
        }
    }
    false
}
