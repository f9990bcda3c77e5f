//! Checks that the API reference in the documentation is up to date, and that every error reason in
//! the contracts' comments is a [`Reason`]. To update the reference: `M2_WRITE_SNAPSHOTS=1 cargo
//! test -p m2-proto --test api_reference`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/reference.rs"]
mod reference;

use std::collections::BTreeSet;
use std::path::Path;

use m2_proto::FILE_DESCRIPTOR_SET;
use m2_proto::reason::Reason;
use prost::Message;
use prost_types::FileDescriptorSet;

#[test]
fn reference_is_up_to_date() {
    let fresh = reference::markdown(&descriptors());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/api.md");
    if std::env::var_os("M2_WRITE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == fresh,
        "docs/reference/api.md is stale: run M2_WRITE_SNAPSHOTS=1 cargo test -p m2-proto --test \
         api_reference"
    );
}

#[test]
fn reasons_in_comments_are_known() {
    let known: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let mut named = BTreeSet::new();
    for comment in reference::service_comments(&descriptors()) {
        for errors in comment.split("Errors:").skip(1) {
            let words = errors.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
            let reasons = words.filter(|word| word.len() > 5 && word.contains('_'));
            named.extend(reasons.map(str::to_owned));
        }
    }
    assert!(named.len() > 15, "{named:?}");
    for reason in &named {
        assert!(known.contains(reason.as_str()), "{reason} is not a Reason");
    }
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap()
}
