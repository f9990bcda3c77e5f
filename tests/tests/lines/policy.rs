//! The user's settings for paths and relays, and their effects.

use super::scene::{Relay, add_line, await_lines, await_path, befriend, party, set_ip, talk};
use m2_crypto::invitation::Invitation;
use m2_proto::api::v1::{DoctorRequest, FailClosed, IpMode, Path};
use m2_tests::harness::Daemon;
use m2_tests::scenario::{Api, PATIENCE, eventually};
use serde_json::Value;
use std::time::Instant;

async fn start(name: &str, ip: &str) -> (Daemon, Api) {
    let daemon = Daemon::start(party(name, ip)).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    (daemon, api)
}

#[tokio::test]
async fn a_contact_without_a_relay_switches_to_the_lines_of_the_other() {
    let (relay, (_alice, alice), (_bob, bob)) = tokio::join!(
        Relay::start(),
        start("alice", "direct"),
        start("bob", "direct")
    );
    befriend((&alice, "alice"), (&bob, "bob")).await;
    await_path(&alice, "bob", Path::Direct).await;
    add_line(&alice, &relay, false).await;
    await_lines(&alice, 1).await;
    // Bob learns of the line in the session that is ending.
    set_ip(&alice, "bob", IpMode::LineOnly).await;
    await_path(&alice, "bob", Path::Line).await;
    talk(&alice, &bob, "hidden").await;
    set_ip(&alice, "bob", IpMode::Unspecified).await;
    talk(&alice, &bob, "again").await;
}

#[tokio::test]
async fn a_refused_peer_dials_with_backoff() {
    let ((alice_daemon, alice), (bob_daemon, bob)) =
        tokio::join!(start("alice", "direct"), start("bob", "direct"));
    befriend((&alice, "alice"), (&bob, "bob")).await;
    await_path(&bob, "alice", Path::Direct).await;
    // Neither side has a relay, so no path is allowed.
    set_ip(&alice, "bob", IpMode::LineOnly).await;
    let refused = async || {
        let refused = alice_daemon.status().await?.refused;
        anyhow::Ok(refused.get("DIRECT_FORBIDDEN").copied().unwrap_or(0))
    };
    eventually("three refused dials", async || {
        Ok((refused().await? >= 3).then_some(()))
    })
    .await
    .unwrap();
    let (before, start) = (refused().await.unwrap(), Instant::now());
    eventually("one more", async || {
        Ok((refused().await? > before).then_some(()))
    })
    .await
    .unwrap();
    assert!(start.elapsed() < PATIENCE);
    // A dial takes a few milliseconds here: without backoff there would be hundreds by now.
    let total = refused().await.unwrap();
    assert!(total < 20, "{total} dials");
    drop(bob_daemon);
}

#[tokio::test]
async fn a_contacts_mode_is_never_weaker_than_the_profile() {
    let (daemon, api) = start("alice", "prefer-line").await;
    let (_bob, bob) = start("bob", "prefer-line").await;
    befriend((&api, "alice"), (&bob, "bob")).await;
    let weaker = ["contact", "policy", "bob", "--ip", "direct"];
    let run = daemon.m2(&weaker).await.unwrap();
    assert_eq!(run.code, Some(1), "{run:?}");
    for way in ["prefer-line", "line-only", "default"] {
        let run = daemon
            .m2(&["contact", "policy", "bob", "--ip", way])
            .await
            .unwrap();
        assert!(run.stdout.contains(way), "{run:?}");
    }
}

#[tokio::test]
async fn invitations_name_lines_and_in_line_only_mode_no_address() {
    let (relay, (alice_daemon, alice), (_bob, bob)) = tokio::join!(
        Relay::start(),
        start("alice", "line-only"),
        start("bob", "direct")
    );
    let warned = alice_daemon.status().await.unwrap().warnings.join(" ");
    assert!(warned.contains("Nothing is sent"), "{warned}");
    for api in [&alice, &bob] {
        add_line(api, &relay, false).await;
    }
    let own: Invitation = relay.invitation.parse().unwrap();
    for (api, shows_address) in [(&alice, false), (&bob, true)] {
        let made: Invitation = api.invite(false, "").await.unwrap().parse().unwrap();
        let lines: Vec<_> = made.invited_lines().collect();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].relay, *own.peer());
        assert_eq!(made.addresses().is_empty(), !shows_address);
    }
    let made: Invitation = alice.invite(false, "").await.unwrap().parse().unwrap();
    let other: Invitation = alice.invite(false, "").await.unwrap().parse().unwrap();
    let token = |invitation: &Invitation| invitation.invited_lines().next().unwrap().token;
    assert!(
        token(&made) != token(&other),
        "each invitation has its own line"
    );
}

#[tokio::test]
async fn relays_are_added_listed_and_removed_by_hand() {
    let (relay, (alice_daemon, alice)) = tokio::join!(Relay::start(), start("alice", "direct"));
    let run = alice_daemon
        .m2(&["line", "add", &relay.invitation])
        .await
        .unwrap();
    run.success().unwrap();
    await_lines(&alice, 0).await;
    let own: Invitation = relay.invitation.parse().unwrap();
    let id = own.peer().to_string();
    let run = alice_daemon.m2(&["--json", "line", "list"]).await.unwrap();
    let listed: Vec<Value> = run.json().unwrap();
    assert!(listed[0]["relayId"] == id && listed[0]["entry"] == false);
    // Adding the same relay again changes its role.
    alice_daemon
        .m2(&["line", "add", &relay.invitation, "--entry"])
        .await
        .unwrap()
        .success()
        .unwrap();
    let run = alice_daemon.m2(&["--json", "line", "list"]).await.unwrap();
    let listed: Vec<Value> = run.json().unwrap();
    assert!(listed.len() == 1 && listed[0]["entry"] == true);
    let run = alice_daemon.m2(&["line", "remove", &id[..12]]).await;
    run.unwrap().success().unwrap();
    let run = alice_daemon.m2(&["line", "remove", &id]).await.unwrap();
    assert_eq!(run.code, Some(1));
    let own = alice.invite(false, "").await.unwrap();
    let run = alice_daemon.m2(&["line", "add", &own]).await.unwrap();
    assert!(run.stderr.contains("your own"), "{run:?}");
}

#[tokio::test]
async fn the_doctor_reports_the_settings_and_tests_the_mode() {
    let (relay, (_direct, direct), (_hidden, hidden)) = tokio::join!(
        Relay::start(),
        start("alice", "direct"),
        start("bob", "line-only")
    );
    let ask = async |api: &Api| {
        let asked = api.client().network().doctor(DoctorRequest {}).await;
        asked.unwrap().into_inner()
    };
    let report = ask(&direct).await;
    assert_eq!(report.ip(), IpMode::Direct);
    assert_eq!(report.fail_closed(), FailClosed::NotInForce);
    let report = ask(&hidden).await;
    assert_eq!(report.fail_closed(), FailClosed::Holds);
    assert!(report.advice[0].contains("m2 line add"), "{report:?}");
    add_line(&hidden, &relay, false).await;
    let report = ask(&hidden).await;
    assert_eq!(report.fail_closed(), FailClosed::Holds);
    let said = report.sections[0].sentences.join(" ");
    assert!(said.contains("1 meeting relay"), "{said}");
}
