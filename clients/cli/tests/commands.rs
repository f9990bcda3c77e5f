//! Exit codes, JSON names and safe output of the commands, against a fake daemon.
#![cfg(unix)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use m2_proto::api::v1::send_message_request::Content;
use support::{BOB_ID, Fake, OWN_ID, RELAY_ID, Run, m2};

#[tokio::test]
async fn without_a_daemon_the_code_is_3() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("m2d.sock");
    let path = socket.to_str().unwrap();
    for arguments in [
        vec!["status"],
        vec!["id"],
        vec!["send", "bob", "x"],
        vec!["listen"],
        vec!["contact", "list"],
    ] {
        let run = Run::of(
            m2(&arguments)
                .args(["--socket", path])
                .output()
                .await
                .unwrap(),
        );
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.contains("m2d run"), "{run:?}");
        assert!(run.stdout.is_empty());
    }
    let run = m2(&["status", "--json", "--socket", path]).output().await;
    assert_eq!(Run::of(run.unwrap()).reason(), "NO_DAEMON");
}

#[tokio::test]
async fn a_program_that_is_no_daemon_or_a_daemon_that_stops_is_3() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("m2d.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let path = socket.to_str().unwrap();
    let run = m2(&["--json", "status", "--socket", path]).output().await;
    let run = Run::of(run.unwrap());
    assert_eq!((run.code, run.reason().as_str()), (3, "NO_DAEMON"));
}

#[tokio::test]
async fn wrong_usage_is_2_and_json_when_asked() {
    let fake = Fake::start().await;
    for arguments in [
        vec!["nonsense"],
        vec!["send"],
        vec!["send", "bob", "x", "--ttl", "30"],
        vec!["send", "bob", "x", "--wait", "forever"],
        vec!["history", "bob", "--limit", "0"],
        vec!["contact", "verify", "bob", "--matched", "--mismatched"],
        vec!["unlock"],
    ] {
        let run = fake.run(&arguments).await;
        assert_eq!(run.code, 2, "{arguments:?} {run:?}");
        let run = fake
            .run(&[&["--json"], arguments.as_slice()].concat())
            .await;
        assert_eq!((run.code, run.reason().as_str()), (2, "USAGE"));
    }
}

#[tokio::test]
async fn help_and_version_succeed() {
    for flag in ["--help", "--version"] {
        let run = Run::of(m2(&[flag]).output().await.unwrap());
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("m2"));
    }
}

#[tokio::test]
async fn a_refusal_of_the_daemon_is_1_with_its_reason() {
    let fake = Fake::start().await;
    for (arguments, reason) in [
        (vec!["send", "nobody", "x"], "CONTACT_UNKNOWN"),
        (vec!["contact", "add", "hello"], "INVITATION_INVALID"),
        (vec!["contact", "accept", "bob"], "NO_REQUEST"),
        (vec!["contact", "show", "nobody"], "CONTACT_UNKNOWN"),
        (vec!["invite", "revoke", "i9"], "INVITATION_UNKNOWN"),
        (vec!["line", "add", "hello"], "INVITATION_INVALID"),
        (vec!["line", "remove", "m2other000"], "LINE_UNKNOWN"),
        (vec!["watch", "none"], "MESSAGE_UNKNOWN"),
        (vec!["retract", "theirs"], "NOT_AUTHOR"),
        (vec!["edit", "theirs", "x"], "NOT_AUTHOR"),
        (vec!["react", "none", "+1"], "MESSAGE_UNKNOWN"),
        (vec!["listen", "--client", "taken"], "CLIENT_IN_USE"),
        (vec!["listen", "--from", "old"], "CURSOR_INVALID"),
        (vec!["client", "remove", "taken"], "CLIENT_IN_USE"),
        (vec!["client", "remove", "nobody"], "CLIENT_UNKNOWN"),
    ] {
        let run = fake
            .run(&[&["--json"], arguments.as_slice()].concat())
            .await;
        assert_eq!((run.code, run.reason().as_str()), (1, reason));
        let run = fake.run(&arguments).await;
        assert!(run.stderr.starts_with("error: "), "{run:?}");
    }
}

#[tokio::test]
async fn status_and_id_have_their_fields() {
    let fake = Fake::start().await;
    let status = &fake.run(&["--json", "status"]).await.json()[0];
    assert_eq!(status["state"], "DAEMON_STATE_READY");
    assert_eq!(status["peerId"], OWN_ID);
    assert_eq!(status["version"], "0.1.0");
    let check = fake.run(&["status", "--quiet"]).await;
    assert_eq!((check.code, check.stdout.len()), (0, 0), "{check:?}");
    let id = fake.run(&["id", "--json"]).await;
    assert_eq!(id.json()[0]["peerId"], OWN_ID);
    assert_eq!(fake.run(&["id"]).await.stdout.trim(), OWN_ID);
    let qr = fake.run(&["id", "--qr"]).await;
    assert!(qr.stdout.lines().count() > 10);
    let human = fake.run(&["status"]).await.stdout;
    assert!(
        human.contains("ready") && human.contains("REPLAY 3"),
        "{human}"
    );
    let mailbox = "2 boxes, 5 letters (11 KiB), 7 stored since the start";
    assert!(human.contains(mailbox), "{human}");
    assert_eq!(status["mailboxServer"]["letters"], "5");
}

#[tokio::test]
async fn creating_an_invitation_prints_only_its_uri() {
    let fake = Fake::start().await;
    let run = fake
        .run(&["invite", "create", "--reusable", "--expires", "2h"])
        .await;
    assert_eq!(run.stdout, "m2://example\n");
    let asked = fake.state().invited.clone().unwrap();
    assert!(asked.reusable);
    assert_eq!(asked.valid_for.unwrap().seconds, 7200);
    let run = fake.run(&["--json", "invite", "create"]).await;
    assert_eq!(run.json()[0]["uri"], "m2://example");
    let list = fake.run(&["--json", "invite", "list"]).await.json();
    assert_eq!(list[1]["invitationId"], "i2");
    assert_eq!(fake.run(&["invite", "revoke", "i1"]).await.code, 0);
}

#[tokio::test]
async fn contacts_have_their_fields_and_no_escapes() {
    let fake = Fake::start().await;
    let list = fake.run(&["--json", "contact", "list"]).await.json();
    assert_eq!(list[0]["peerId"], BOB_ID);
    assert_eq!(list[0]["name"], "bob");
    assert_eq!(list[0]["state"], "CONTACT_STATE_CONTACT");
    assert_eq!(list[0]["verified"], false);
    let requests = fake.run(&["--json", "contact", "requests"]).await.json();
    assert_eq!(requests.len(), 1);
    let human = fake.run(&["contact", "list"]).await.stdout;
    assert!(human.contains("carol[2J") && !human.contains('\u{1b}'));
    for arguments in [
        vec!["contact", "add", "m2://x", "--name", "bob"],
        vec!["contact", "show", "bob"],
        vec!["contact", "accept", "carol"],
        vec!["contact", "decline", "carol"],
        vec!["contact", "block", "carol"],
        vec!["contact", "remove", "bob", "--history"],
        vec!["contact", "rename", "bob", "rob"],
    ] {
        let run = fake.run(&arguments).await;
        assert_eq!(run.code, 0, "{run:?}");
        let run = fake
            .run(&[&["--json"], arguments.as_slice()].concat())
            .await;
        assert_eq!(run.json().len(), 1, "{run:?}");
    }
}

#[tokio::test]
async fn own_relays_have_their_fields() {
    let fake = Fake::start().await;
    let run = fake
        .run(&["--json", "line", "add", "m2://x", "--entry"])
        .await;
    assert_eq!(run.json()[0]["relayId"], RELAY_ID);
    assert_eq!(run.json()[0]["entry"], true);
    let run = fake.run(&["line", "add", "m2://x"]).await;
    assert!(run.stdout.contains("contacts can reach you"), "{run:?}");
    let list = fake.run(&["--json", "line", "list"]).await.json();
    assert_eq!((list.len(), &list[0]["open"]), (2, &7.into()));
    let human = fake.run(&["line", "list"]).await.stdout;
    assert!(human.contains("meeting  yes") && human.contains("entry    no"));
    let run = fake.run(&["line", "remove", &RELAY_ID[..10]]).await;
    assert_eq!(run.code, 0, "{run:?}");
}

#[tokio::test]
async fn named_clients_have_their_fields() {
    let fake = Fake::start().await;
    let list = fake.run(&["--json", "client", "list"]).await.json();
    assert_eq!(
        (&list[0]["name"], &list[0]["lag"]),
        (&"bot".into(), &"12".into())
    );
    let human = fake.run(&["client", "list"]).await.stdout;
    let row = human.lines().nth(1).unwrap();
    assert_eq!(
        row,
        "bot   yes        12       0             2023-11-14 22:13"
    );
    assert_eq!(fake.run(&["client", "remove", "bot"]).await.code, 0);
}

#[tokio::test]
async fn a_relay_shows_totals() {
    let fake = Fake::start().await;
    let run = fake.run(&["relay", "status"]).await;
    assert!(run.stdout.contains("not a relay"), "{run:?}");
    fake.state().serving = true;
    let json = fake.run(&["--json", "relay", "status"]).await.json();
    assert!(json[0]["serving"] == true && json[0]["bytes"] == "70000");
    let human = fake.run(&["relay", "status"]).await.stdout;
    assert!(
        human.contains("2/4096") && human.contains("EXTEND 3"),
        "{human}"
    );
}

#[tokio::test]
async fn the_doctor_prints_sections() {
    let fake = Fake::start().await;
    let json = fake.run(&["--json", "network", "doctor"]).await.json();
    assert_eq!(json[0]["ip"], "IP_MODE_LINE_ONLY");
    assert_eq!(json[0]["failClosed"], "FAIL_CLOSED_BROKEN");
    assert_eq!(json[0]["sections"][0]["title"], "Your contacts see");
    let run = fake.run(&["network", "doctor"]).await;
    assert_eq!(
        run.stdout,
        "Mode: line-only\n\nYour contacts see\n  Your relays.\n\n\
         Fail-closed test\n  BROKEN[2J.\n\nWhat to change\n  Stop the daemon.\n"
    );
}

#[tokio::test]
async fn the_network_status_is_shown_in_tables() {
    let fake = Fake::start().await;
    let json = fake.run(&["--json", "network", "status"]).await.json();
    assert_eq!(json[0]["reachability"], "REACHABILITY_NAT");
    assert_eq!(json[0]["contacts"][0]["path"], "PATH_LINE");
    assert_eq!(json[0]["contacts"][0]["roundTrip"], "0.012s");
    let human = fake.run(&["network", "status"]).await.stdout;
    assert!(human.starts_with("Mode: direct. A NAT is"), "{human}");
    for said in [
        "192.0.2.1:9999  relay",
        "dht",
        "20 nodes[2J.",
        "bob",
        "12 ms",
    ] {
        assert!(human.contains(said), "{said} in {human}");
    }
}

#[tokio::test]
async fn a_probe_shows_each_attempt_and_fails_if_none_reached_the_contact() {
    let fake = Fake::start().await;
    let run = fake.run(&["network", "probe", "bob"]).await;
    assert_eq!(run.code, 0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].contains("1250 ms") && lines[0].ends_with("NO_ANSWER"));
    assert!(lines[1].starts_with("line") && lines[1].ends_with("reached"));
    let json = fake.run(&["--json", "network", "probe", "bob"]).await;
    assert_eq!(json.json()[1]["source"], "WAY_SOURCE_LINE");
    let run = fake.run(&["network", "probe", "nobody"]).await;
    assert_eq!(run.code, 1);
}

#[tokio::test]
async fn verifying_does_not_prompt_in_a_script() {
    let fake = Fake::start().await;
    let run = fake.run(&["contact", "verify", "bob"]).await;
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout.matches("12345").count(), 12);
    assert_eq!(fake.state().verified.clone().unwrap().matched, None);
    let run = fake
        .run(&["--json", "contact", "verify", "bob", "--matched"])
        .await;
    assert_eq!(run.json()[0]["verified"], true);
    fake.run(&["contact", "verify", "bob", "--mismatched"])
        .await;
    assert_eq!(fake.state().verified.clone().unwrap().matched, Some(false));
}

#[tokio::test]
async fn a_policy_changes_only_the_named_settings() {
    let fake = Fake::start().await;
    let policy = ["--json", "contact", "policy", "bob"];
    let both = fake
        .run(&[&policy[..], &["--mailbox", "on"]].concat())
        .await;
    let set = &both.json()[0]["policy"];
    assert!(set["mailboxGrant"] == true && set["mailboxUse"] == true);
    let run = fake
        .run(&[&policy[..], &["--mailbox-use", "on"]].concat())
        .await;
    let set = &run.json()[0]["policy"];
    assert!(set["mailboxGrant"] == false && set["mailboxUse"] == true);
    assert_eq!(set["ip"], "IP_MODE_UNSPECIFIED");
    let run = fake
        .run(&[&policy[..], &["--ip", "line-only"]].concat())
        .await;
    assert_eq!(run.json()[0]["policy"]["ip"], "IP_MODE_LINE_ONLY");
    let run = fake
        .run(&["contact", "policy", "bob", "--ip", "prefer-line"])
        .await;
    assert_eq!(
        run.stdout,
        "mailbox  off\nip       prefer-line\nkept     default\n"
    );
    let run = fake
        .run(&["contact", "policy", "bob", "--ip", "default"])
        .await;
    assert_eq!(
        run.stdout,
        "mailbox  off\nip       default\nkept     default\n"
    );
    let contradiction = ["--mailbox", "on", "--mailbox-grant", "off"];
    let run = fake.run(&[&policy[..], &contradiction[..]].concat()).await;
    assert_eq!(run.code, 2);
}

#[tokio::test]
async fn sending_prints_id_and_state() {
    let fake = Fake::start().await;
    let run = fake
        .run(&[
            "--json", "send", "bob", "hello", "--ttl", "1h", "--key", "k",
        ])
        .await;
    assert_eq!(run.code, 0);
    assert_eq!(run.json()[0]["messageId"], "bob");
    assert_eq!(run.json()[0]["state"], "MESSAGE_STATE_QUEUED");
    let sent = fake.state().sent.clone().unwrap();
    assert_eq!(sent.content, Some(Content::Text("hello".to_owned())));
    assert_eq!(sent.ttl.unwrap().seconds, 3600);
    assert_eq!(sent.idempotency_key, "k");
}

#[tokio::test]
async fn sending_from_stdin() {
    let fake = Fake::start().await;
    for arguments in [vec!["send", "bob", "-"], vec!["send", "bob"]] {
        assert_eq!(fake.run_with(&arguments, b"two\nlines\n").await.code, 0);
        let sent = fake.state().sent.take().unwrap();
        assert_eq!(sent.content, Some(Content::Text("two\nlines".to_owned())));
    }
    let run = fake
        .run_with(&["--json", "send", "bob", "-"], &[0xff, 0xfe])
        .await;
    assert_eq!((run.code, run.reason().as_str()), (2, "USAGE"));
    assert!(run.stderr.contains("--type"));
    let run = fake
        .run_with(&["send", "bob", "-", "--type", "image/png"], &[0xff, b'\n'])
        .await;
    assert_eq!(run.code, 0);
    let sent = fake.state().sent.take().unwrap();
    assert_eq!(sent.content, Some(Content::Data(vec![0xff, b'\n'])));
    assert_eq!(sent.media_type, "image/png");
    let run = fake
        .run_with(&["--json", "send", "bob"], &vec![b'x'; 50_000])
        .await;
    assert_eq!((run.code, run.reason().as_str()), (1, "MESSAGE_TOO_LARGE"));
    assert!(fake.state().sent.is_none());
    // The line break that is dropped does not count for the limit.
    let longest = "x".repeat(48 * 1_024);
    for end in ["", "\n", "\r\n"] {
        let input = format!("{longest}{end}");
        let run = fake.run_with(&["send", "bob"], input.as_bytes()).await;
        assert_eq!(run.code, 0, "{end:?} {}", run.stderr);
        let sent = fake.state().sent.take().unwrap();
        assert_eq!(sent.content, Some(Content::Text(longest.clone())));
    }
}

#[tokio::test]
async fn waiting_for_a_state() {
    let fake = Fake::start().await;
    let run = fake
        .run(&["--json", "send", "bob", "x", "--wait", "delivered"])
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json().len(), 1);
    assert_eq!(run.json()[0]["state"], "MESSAGE_STATE_DELIVERED");
    let run = fake
        .run(&[
            "--json",
            "send",
            "stuck",
            "x",
            "--wait",
            "sent",
            "--timeout",
            "1s",
        ])
        .await;
    assert_eq!((run.code, run.reason().as_str()), (4, "TIMED_OUT"));
    assert_eq!(run.json()[0]["messageId"], "stuck");
    assert_eq!(run.json()[0]["state"], "MESSAGE_STATE_QUEUED");
    let run = fake
        .run(&["--json", "send", "gone", "x", "--wait", "sent"])
        .await;
    assert_eq!((run.code, run.reason().as_str()), (1, "CONTACT_REMOVED"));
    assert_eq!(run.json()[0]["state"], "MESSAGE_STATE_FAILED");
}

#[tokio::test]
async fn watching_prints_each_state() {
    let fake = Fake::start().await;
    let run = fake.run(&["--json", "watch", "reader"]).await;
    assert_eq!(run.code, 0);
    assert_eq!(run.json()[1]["state"], "MESSAGE_STATE_READ");
    assert_eq!(run.json()[1]["messageId"], "reader");
    let run = fake.run(&["watch", "gone"]).await;
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("failed"));
}

#[tokio::test]
async fn history_is_shown_oldest_first_and_can_not_be_faked() {
    let fake = Fake::start().await;
    let run = fake
        .run(&["--json", "history", "bob", "--limit", "2", "--before", "c3"])
        .await;
    let texts: Vec<_> = run.json().iter().map(|m| m["cursor"].clone()).collect();
    assert_eq!(texts, ["c1", "c2"]);
    assert!(!run.stdout.contains('\u{9b}'), "C1 controls are escaped");
    assert!(run.json()[0]["text"].as_str().unwrap().contains('\u{9b}'));
    let asked = fake.state().listed.clone().unwrap();
    assert_eq!((asked.limit, asked.before.as_str()), (2, "c3"));
    let human = fake.run(&["history", "bob", "--limit", "2"]).await;
    assert_eq!(
        human.stdout,
        "2023-11-14 22:13  bob  first31m\n\
         2023-11-14 22:13  bob  second\n                       12:00  bob  fake\n"
    );
    assert!(human.stderr.contains("--before c1"));
    let found = fake.run(&["--json", "search", "two", "words"]).await;
    assert_eq!(found.json()[0]["text"], "two words");
}

#[tokio::test]
async fn unlocking_takes_a_file_or_stdin() {
    let fake = Fake::start().await;
    let file = fake.dir().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    let path = file.to_str().unwrap();
    let run = fake.run(&["unlock", "--passphrase-file", path]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let arguments = ["--json", "unlock", "--passphrase-file", "-"];
    let run = fake.run_with(&arguments, b"wrong").await;
    assert_eq!((run.code, run.reason().as_str()), (1, "WRONG_PASSPHRASE"));
    assert_eq!(fake.state().passphrase.as_deref(), Some("wrong"));
    let run = fake.run(&["unlock", "--passphrase-file", "/nowhere"]).await;
    assert_eq!(run.code, 1);
}

#[tokio::test]
async fn colours_only_on_request() {
    let fake = Fake::start().await;
    assert!(!fake.run(&["status"]).await.stdout.contains('\u{1b}'));
    let run = fake.run(&["status", "--color", "always"]).await;
    assert!(run.stdout.contains("\u{1b}[32mready"));
}

#[tokio::test]
async fn commands_with_short_answers() {
    let fake = Fake::start().await;
    for arguments in [
        vec!["retract", "mine"],
        vec!["edit", "mine", "new"],
        vec!["react", "theirs", "+1"],
        vec!["react", "theirs", "--remove"],
        vec!["read", "a", "b"],
    ] {
        let run = fake
            .run(&[&["--json"], arguments.as_slice()].concat())
            .await;
        assert_eq!((run.code, run.stdout.as_str()), (0, "{}\n"));
    }
    let page = Run::of(m2(&["man"]).output().await.unwrap());
    assert!(page.stdout.contains(".TH"));
}
