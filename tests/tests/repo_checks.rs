//! The repository keeps its own rules.
#![allow(clippy::unwrap_used, clippy::panic)]

use m2_tests::checks::files::{self, SourceFile};
use m2_tests::checks::rust_code::CodeReport;
use m2_tests::checks::{crates, language, licences, links, protos, words};

#[test]
fn arrows_between_crates() {
    none(crates::arrows(&sources()).unwrap());
    none(crates::wire_only(&sources()));
}

#[test]
fn members_inherit_from_the_workspace() {
    none(crates::inheritance(&sources()).unwrap());
    none(crates::versions(&sources()).unwrap());
}

#[test]
fn top_level() {
    none(files::top_level().unwrap());
}

#[test]
fn no_forbidden_words() {
    none(words::forbidden(&sources()));
}

#[test]
fn prose_is_plain_english() {
    none(language::dialect(&sources()).unwrap());
}

#[test]
fn no_long_files() {
    none(files::long_files(&sources()));
}

#[test]
fn no_long_functions_and_no_unsafe() {
    let report = CodeReport::of(&sources());
    println!(
        "{} functions; lines: median {}, 90th percentile {}, longest {}",
        report.lengths.len(),
        report.percentile(50),
        report.percentile(90),
        report.percentile(100)
    );
    none(report.findings);
}

#[test]
fn protobuf_contracts() {
    none(protos::check(&sources()));
}

#[test]
fn links_in_the_documentation() {
    none(links::broken(&sources()).unwrap());
    none(links::unlisted(&sources()));
}

#[test]
fn licences_of_dependencies() {
    none(licences::check(&sources()).unwrap());
}

fn sources() -> Vec<SourceFile> {
    files::all().unwrap()
}

#[track_caller]
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n  {}", findings.join("\n  "));
}
