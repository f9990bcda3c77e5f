//! The files of the repository: which there are, which are at the top level, and how long they are.

use crate::workspace;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold no sources: build output and what tools leave behind.
const NOT_SOURCES: [&str; 7] = [
    ".git",
    "target",
    "docs/book",
    "tests/fuzz/target",
    "tests/fuzz/artifacts",
    "tests/fuzz/coverage",
    "tests/fuzz/corpus",
];

/// The entries of the top level, in addition to directories whose names start with a dot.
const TOP_LEVEL: [&str; 20] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "clients",
    "clippy.toml",
    "deny.toml",
    "docs",
    "m2-crypto",
    "m2-net",
    "m2-proto",
    "m2d",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
    "tests",
];

/// Lines that a source file may have.
const LONGEST_FILE: usize = 500;

/// Lines that the daemon's `main.rs` may have.
const LONGEST_MAIN: usize = 100;

/// Files that may be longer than [`LONGEST_FILE`], each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// A file of the repository.
#[derive(Debug)]
pub struct SourceFile {
    /// Its path from the top, with `/` between names.
    pub path: String,
    /// Its text; empty for a file that is not UTF-8.
    pub text: String,
}

#[cfg(test)]
pub(super) fn file(path: &str, text: &str) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

impl SourceFile {
    /// Whether its name ends in `.EXTENSION`.
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// All files of the repository, sorted by path.
///
/// Errors: a directory or file can't be read.
pub fn all() -> anyhow::Result<Vec<SourceFile>> {
    let root = workspace::root()?;
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Entries at the top that have no place there, and those that are missing.
///
/// Errors: the directory can't be read.
pub fn top_level() -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut present = Vec::new();
    for entry in fs::read_dir(workspace::root()?)? {
        present.push(entry?.file_name().to_string_lossy().into_owned());
    }
    for name in &present {
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) {
            findings.push(format!("{name}: has no place at the top level"));
        }
    }
    for name in TOP_LEVEL.iter().filter(|name| **name != "target") {
        if !present.iter().any(|found| found == name) {
            findings.push(format!("{name}: missing at the top level"));
        }
    }
    Ok(findings)
}

/// Rust files that are too long, and allowances that are no longer needed.
pub fn long_files(files: &[SourceFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        let lines = file.text.lines().count();
        let allowed = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        let limit = if file.path == "m2d/src/main.rs" {
            LONGEST_MAIN
        } else {
            LONGEST_FILE
        };
        if lines > limit && !allowed {
            findings.push(format!("{}: {lines} lines, over {limit}", file.path));
        }
        if lines <= limit && allowed {
            findings.push(format!("{}: no longer needs its allowance", file.path));
        }
    }
    findings
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("could not list {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = relative(root, &path);
        if NOT_SOURCES.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(read(name, &path)?);
        }
    }
    Ok(())
}

fn read(name: String, path: &PathBuf) -> anyhow::Result<SourceFile> {
    let bytes = fs::read(path).with_context(|| format!("could not read {name}"))?;
    Ok(SourceFile {
        path: name,
        text: String::from_utf8(bytes).unwrap_or_default(),
    })
}

fn relative(root: &Path, path: &Path) -> String {
    let names: Vec<_> = path
        .strip_prefix(root)
        .unwrap_or(path)
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    names.join("/")
}
