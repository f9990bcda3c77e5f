//! Checks of the repository's own rules.
#![allow(clippy::unwrap_used, clippy::panic)]

use m2_tests::checks::files::{self, SourceFile};
use m2_tests::checks::rust_code::CodeReport;
use m2_tests::checks::{crates, language, licences, links, protos, rooms, words};

#[test]
fn dependencies_between_crates_follow_the_architecture() {
    none(crates::arrows(&sources()).unwrap());
    none(crates::wire_only(&sources()));
}

#[test]
fn the_modules_of_a_crate_form_no_circle() {
    none(rooms::circles(&sources()));
}

#[test]
fn members_inherit_from_the_workspace() {
    none(crates::inheritance(&sources()).unwrap());
    none(crates::versions(&sources()).unwrap());
}

#[test]
fn crates_and_rooms_are_documented() {
    none(crates::undocumented(&sources()).unwrap());
}

#[test]
fn every_reason_and_counter_is_explained_in_a_page() {
    none(m2_tests::pages::unexplained(&sources()).unwrap());
}

#[test]
fn the_top_level_holds_known_entries_only() {
    none(files::top_level().unwrap());
}

#[test]
fn no_source_contains_a_forbidden_word() {
    none(words::forbidden(&sources()));
}

#[test]
fn prose_is_plain_english() {
    none(language::dialect(&sources()).unwrap());
}

#[test]
fn no_file_is_too_long() {
    none(files::long_files(&sources()));
}

#[test]
fn no_function_is_too_long_and_no_code_is_unsafe() {
    let report = CodeReport::of(&sources());
    let lengths = report.lengths_in("");
    println!(
        "{} functions; lines: median {}, 90th percentile {}, longest {}",
        lengths.count(),
        lengths.percentile(50),
        lengths.percentile(90),
        lengths.percentile(100)
    );
    none(report.findings);
}

#[test]
fn most_functions_of_the_daemon_are_short() {
    const LINES: usize = 20;
    let lengths = CodeReport::of(&sources()).lengths_in("m2d/src/");
    let (count, found) = (lengths.count(), lengths.percentile(90));
    let longer = lengths.longer_than(LINES);
    println!("{count} functions in m2d/src; lines: 90th percentile {found}");
    assert!(count > 0, "no function was found in m2d/src");
    assert!(
        found <= LINES,
        "the 90th percentile of the function lengths in m2d/src is {found} lines, more than {LINES}: \
         {longer} of {count} functions are longer. Split some of them where their steps have names."
    );
}

#[test]
fn protobuf_contracts_follow_their_rules() {
    none(protos::check(&sources()));
}

#[test]
fn links_in_the_documentation_resolve() {
    none(links::broken(&sources()).unwrap());
    none(links::unlisted(&sources()));
}

#[test]
fn licences_of_dependencies_are_allowed() {
    none(licences::check(&sources()).unwrap());
}

#[test]
fn the_nats_client_is_optional() {
    none(licences::optional_nats().unwrap());
}

fn sources() -> Vec<SourceFile> {
    files::all().unwrap()
}

#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n  {}", findings.join("\n  "));
}
