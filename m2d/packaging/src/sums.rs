//! Checksums of the artefacts.

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::Path;

/// The file with the checksums, as `sha256sum --check` reads it.
pub(crate) const FILE: &str = "SHA256SUMS";

/// Writes the checksums of all files in `directory`, and returns them.
///
/// Errors: a file can't be read or written.
pub(crate) fn write(directory: &Path) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == FILE || !entry.file_type()?.is_file() {
            continue;
        }
        lines.push((name, sha256(&entry.path())?));
    }
    lines.sort();
    let text: String = lines
        .iter()
        .map(|(name, sum)| format!("{sum}  {name}\n"))
        .collect();
    fs::write(directory.join(FILE), &text)?;
    Ok(text)
}

/// Returns the checksum of a file, in hexadecimal digits.
///
/// Errors: it can't be read.
pub(crate) fn sha256(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(HEXLOWER.encode(&Sha256::digest(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_but_the_list_itself_has_a_line() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("b"), "").unwrap();
        fs::write(directory.path().join("a"), "abc").unwrap();
        fs::create_dir(directory.path().join("stage")).unwrap();
        let first = write(directory.path()).unwrap();
        assert_eq!(
            first,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
        );
        assert_eq!(write(directory.path()).unwrap(), first);
    }
}
