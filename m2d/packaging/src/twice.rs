//! Builds a commit twice, in clones at different paths, and compares the artefacts.

use crate::command::{cargo, output, run};
use crate::options::Options;
use crate::sums;
use anyhow::{Context as _, bail};
use m2_verify::workspace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The names of the clones: of different lengths, as paths in programs would move everything after them.
const CLONES: [&str; 2] = ["one", "the-other-one"];

/// Makes the artefacts of the current commit in two clones. Copies those of the first to the output directory.
///
/// Errors: a build fails, or an artefact differs.
pub fn make_twice(options: &Options) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let mut status = Command::new("git");
    status.args(["status", "--porcelain"]).current_dir(&root);
    if !output(&mut status, "install git")?.is_empty() {
        bail!("commit your changes first: clones contain committed files only");
    }
    let place = workspace::target(&root).join("artefacts-twice");
    let [one, other] = CLONES.map(|name| place.join(name));
    let made = [
        make_in(&one, &root, options)?,
        make_in(&other, &root, options)?,
    ];
    compare(&made)?;
    let [made, _] = made;
    let output = options.output(&root)?;
    for entry in fs::read_dir(&made)? {
        let entry = entry?;
        fs::copy(entry.path(), output.join(entry.file_name()))?;
    }
    println!("Both builds have the same bytes.");
    Ok(())
}

/// Clones the repository to `clone` and makes the artefacts there. Returns their directory.
fn make_in(clone: &Path, root: &Path, options: &Options) -> anyhow::Result<PathBuf> {
    if clone.exists() {
        fs::remove_dir_all(clone)?;
    }
    let mut git = Command::new("git");
    git.args(["clone", "--quiet"]).arg(root).arg(clone);
    run(&mut git, "install git")?;
    let made = clone.join("target/artefacts");
    let mut command = cargo();
    command.args(["artefacts", "--profile", &options.profile]);
    command.arg("--output").arg(&made);
    for kind in &options.only {
        command.args(["--only", &kind.to_string()]);
    }
    if options.fast {
        command.arg("--fast");
    }
    command.env_remove("CARGO_TARGET_DIR");
    run(command.current_dir(clone), "install it with rustup")?;
    Ok(made)
}

fn compare(made: &[PathBuf; 2]) -> anyhow::Result<()> {
    let [one, other] = made;
    let read = |directory: &Path| {
        fs::read_to_string(directory.join(sums::FILE)).context("the checksums are missing")
    };
    let (first, second) = (read(one)?, read(other)?);
    let differing: Vec<&str> = first
        .lines()
        .filter(|line| !second.lines().any(|found| found == *line))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    if !differing.is_empty() || first.lines().count() != second.lines().count() {
        bail!(
            "the builds differ: {}. Compare {} and {}, for example with diffoscope",
            differing.join(", "),
            one.display(),
            other.display()
        );
    }
    Ok(())
}
