//! The licences of the libraries in the programs, with the texts that their authors ship.

use crate::command::{cargo, output};
use anyhow::Context as _;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Beginnings of the names of files with licences, in lower case.
const NAMES: [&str; 6] = [
    "licen",
    "copying",
    "copyright",
    "notice",
    "unlicense",
    "patents",
];
/// Directories below a package in which such files are looked for: C libraries that a package contains have
/// licences of their own.
const DEPTH: usize = 2;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    /// `None` for a package of this workspace.
    source: Option<String>,
}

/// Returns a list of the libraries with their licences, then each text once, with the names of the libraries
/// that ship it.
///
/// Errors: cargo can't list the libraries, or a text can't be read.
pub(crate) fn of_dependencies(root: &Path) -> anyhow::Result<String> {
    let packages = packages(root)?;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut document = String::from("M2 contains these libraries:\n\n");
    for package in &packages {
        let licence = package.license.as_deref().unwrap_or("see below");
        writeln!(document, "{}: {licence}", package.title())?;
        for text in package.texts()? {
            texts.entry(text).or_default().push(package.title());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, users) in texts {
        let line = "-".repeat(80);
        writeln!(
            document,
            "\n{line}\n{}\n{line}\n\n{}",
            users.join(", "),
            text.trim()
        )?;
    }
    Ok(document)
}

/// Returns the libraries in the programs, and those that build the C libraries in them, sorted by name.
fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let advice = "install it with rustup";
    let mut metadata = cargo();
    metadata.args(["metadata", "--locked", "--format-version=1"]);
    let metadata = output(metadata.current_dir(root), advice)?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let mut tree = cargo();
    tree.args([
        "tree",
        "--locked",
        "-p",
        "m2d",
        "-p",
        "m2-cli",
        "-p",
        "m2-packaging",
    ]);
    tree.args(["-e", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let tree = output(tree.current_dir(root), advice)?;
    let used: BTreeSet<(&str, &str)> = tree.lines().filter_map(name_and_version).collect();
    let mut packages = metadata.packages;
    packages.retain(|package| {
        let name = (package.name.as_str(), package.version.as_str());
        package.source.is_some() && used.contains(&name)
    });
    packages.sort_by_key(Package::title);
    Ok(packages)
}

/// Returns the parts of `NAME vVERSION …`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(" v")?;
    Some((name, rest.split(' ').next()?))
}

impl Package {
    fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    fn texts(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut texts = BTreeSet::new();
        if let Some(directory) = self.manifest_path.parent() {
            collect(directory, DEPTH, &mut texts)?;
        }
        Ok(texts)
    }
}

fn collect(directory: &Path, depth: usize, texts: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, texts)?;
        }
        let is_text = NAMES.iter().any(|beginning| name.starts_with(beginning));
        if kind.is_file() && is_text && !is_code(&name) {
            let text = fs::read(entry.path())?;
            let text = String::from_utf8_lossy(&text).replace('\r', "");
            texts.insert(text.trim().to_owned());
        }
    }
    Ok(())
}

fn is_code(name: &str) -> bool {
    [".rs", ".c", ".h", ".pl", ".py", ".toml", ".go"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_cargo_tree_names_a_package() {
        let line = "tonic v0.14.9 (*)";
        assert_eq!(name_and_version(line), Some(("tonic", "0.14.9")));
        assert_eq!(name_and_version("tokio v1.54.0"), Some(("tokio", "1.54.0")));
        assert_eq!(name_and_version("[build-dependencies]"), None);
    }
}
