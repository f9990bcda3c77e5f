//! Checks that the man pages of the daemon, the gateway, the bridge and the server for agents are up to date. After a
//! change, run `M2_WRITE_SNAPSHOTS=1 cargo test -p m2-tests --test man_pages`. Those of `m2` are checked with its help.
#![allow(clippy::unwrap_used)]

use clap::{Command, CommandFactory as _};
use m2_tests::workspace;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

#[test]
fn man_pages_are_up_to_date() {
    let fresh = pages();
    if std::env::var_os("M2_WRITE_SNAPSHOTS").is_some() {
        let _ = fs::remove_dir_all(directory());
        fs::create_dir_all(directory()).unwrap();
        for (name, page) in &fresh {
            fs::write(directory().join(name), page).unwrap();
        }
    }
    let stale = "run M2_WRITE_SNAPSHOTS=1 cargo test -p m2-tests --test man_pages, and look at what changed";
    assert!(stored() == fresh, "{stale}");
}

/// Returns the page of each program and of each of its commands, by file name.
fn pages() -> BTreeMap<String, Vec<u8>> {
    let programs: [Command; 4] = [
        m2d::args::Cli::command().disable_help_subcommand(true),
        m2_http::args::Args::command(),
        m2_mcp::Args::command(),
        m2_mqtt::args::Args::command(),
    ];
    let pages = programs.map(|program| m2_cli::reference::man_pages(program).unwrap());
    pages.into_iter().flatten().collect()
}

fn stored() -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory()).unwrap();
    let files = entries.map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    files.collect()
}

fn directory() -> PathBuf {
    workspace::root().unwrap().join("m2d/packaging/man")
}
