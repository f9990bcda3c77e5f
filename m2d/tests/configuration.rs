//! The operator's page documents every configuration key, no other key, and the actual defaults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2d::config::Config;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../docs/operator/configuration.md");

/// A name that no section or key has.
const NONE: &str = "no_such_thing";

#[test]
fn the_page_shows_the_defaults() {
    let shown = Config::parse(example()).unwrap();
    assert_eq!(format!("{shown:?}"), format!("{:?}", Config::default()));
}

#[test]
fn the_page_names_every_key_and_no_other() {
    // Keys without a default are commented out.
    let table: toml::Table = toml::from_str(&example().replace("\n#", "\n")).unwrap();
    let named = table.iter().flat_map(|(section, keys)| {
        let keys = keys.as_table().unwrap().keys();
        keys.map(move |key| format!("{section}.{key}"))
    });
    let named: BTreeSet<String> = named.collect();
    let sections = expected(&format!("{NONE} = 0"));
    let keys = sections.iter().flat_map(|section| {
        let keys = expected(&format!("[{section}]\n{NONE} = 0"));
        keys.into_iter().map(move |key| format!("{section}.{key}"))
    });
    let keys: BTreeSet<String> = keys.collect();
    assert!(keys.len() > 10, "{keys:?}");
    assert_eq!(named, keys);
}

/// Returns the page's first TOML block, which is the complete example.
fn example() -> &'static str {
    let block = PAGE.split("```toml\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

/// Returns the names that the parser lists as expected in place of an unknown one.
fn expected(toml: &str) -> Vec<String> {
    let error = Config::parse(toml).unwrap_err();
    let (_, listed) = error.split_once("expected ").expect(&error);
    let names = listed.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}
