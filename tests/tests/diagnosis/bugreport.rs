//! A bug report contains what a developer needs, and names no one.
#![cfg(unix)]

use m2_proto::api::v1::MessageState;
use m2_tests::harness::Setup;
use m2_tests::scenario::Pair;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_no_contact_no_address_and_no_path() {
    // Even a debug log stays out of the report.
    let talkative = |name: &str| {
        let setup = Setup::new().identity(name);
        setup.tables("[log]\nfilter = \"trace\"\n[mailbox]\nserve = true\n")
    };
    let pair = Pair::start_as(talkative("alice"), talkative("bob"));
    let pair = pair.await.unwrap();
    let (api, _) = pair.apis().await.unwrap();
    let id = api.send("bob", "a secret word").await.unwrap();
    let state = MessageState::Delivered;
    api.await_message(&id, state).await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.txt");
    let path = file.to_str().unwrap();
    let said = pair.alice.m2(&["bugreport", path]).await.unwrap();
    let said = said.success().unwrap();
    assert!(said.contains(path) && said.contains("Read it"), "{said}");
    let report = fs::read_to_string(&file).unwrap();

    let version = format!("m2d {}", env!("CARGO_PKG_VERSION"));
    for expected in [
        version.as_str(),
        "linux",
        "contacts 1, sessions 1",
        "mailbox.serve = true",
        "log.filter = (set)",
        "network.listen = (1 entries)",
        "SESSION_",
        "ready",
    ] {
        assert!(report.contains(expected), "{expected} is missing: {report}");
    }
    let mut private = vec!["bob".to_owned(), "secret".to_owned(), "127.0.0".to_owned()];
    for daemon in [&pair.alice, &pair.bob] {
        private.push(daemon.status().await.unwrap().peer_id);
        private.push(daemon.udp_address().await.unwrap().port().to_string());
        private.push(daemon.data().display().to_string());
        private.push(daemon.socket().display().to_string());
    }
    for text in private {
        assert!(!report.contains(&text), "{text} is in the report: {report}");
    }

    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may not read it");
    let again = pair.alice.m2(&["bugreport", path]).await.unwrap();
    assert_eq!(again.code, Some(2));
    assert!(
        again.stderr.contains("Name another file"),
        "{}",
        again.stderr
    );
}
