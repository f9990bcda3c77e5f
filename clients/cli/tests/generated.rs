//! Checks that the files generated from the definition of the commands are up to date. After a
//! change, run `M2_WRITE_SNAPSHOTS=1 cargo test -p m2-cli --test generated`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use m2_cli::{args, reference};

#[test]
fn help_text() {
    check(
        &here("tests/snapshots/help.txt"),
        reference::help(args::command()).as_bytes(),
    );
}

#[test]
fn reference_in_the_documentation() {
    let path = here("../../docs/reference/cli.md");
    check(&path, reference::markdown(args::command()).as_bytes());
}

#[test]
fn completions() {
    for (shell, name) in [
        (Shell::Bash, "m2.bash"),
        (Shell::Zsh, "_m2"),
        (Shell::Fish, "m2.fish"),
    ] {
        let path = here("generated/completions").join(name);
        check(&path, &reference::completions(args::command(), shell));
    }
}

#[test]
fn man_pages() {
    let dir = here("generated/man");
    let pages = reference::man_pages(args::command()).unwrap();
    for (name, page) in &pages {
        check(&dir.join(name), page);
    }
    let wanted: BTreeSet<String> = pages.into_iter().map(|(name, _)| name).collect();
    for entry in fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if wanted.contains(&name) {
            continue;
        }
        assert!(writes(), "{name} belongs to no command any more");
        fs::remove_file(dir.join(name)).unwrap();
    }
}

fn check(path: &Path, fresh: &[u8]) {
    if writes() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, fresh).unwrap();
        return;
    }
    let stored = fs::read(path).unwrap_or_default();
    assert!(
        stored == fresh,
        "{} is stale: run M2_WRITE_SNAPSHOTS=1 cargo test -p m2-cli --test generated, and look at \
         what changed",
        path.display()
    );
}

fn writes() -> bool {
    std::env::var_os("M2_WRITE_SNAPSHOTS").is_some()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
