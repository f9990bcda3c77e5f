//! Two parties that meet at relays, and their messages when relays fail.

use super::scene::{Relay, add_line, await_lines, await_path, befriend, party, set_ip, talk};
use m2_proto::api::v1::{IpMode, MessageState, Path};
use m2_tests::harness::Daemon;
use m2_tests::scenario::{Api, eventually};

async fn two(ip: &str) -> ([Daemon; 2], [Api; 2]) {
    let daemons = tokio::try_join!(
        Daemon::start(party("alice", ip)),
        Daemon::start(party("bob", ip))
    );
    let (alice, bob) = daemons.unwrap();
    let apis = [Api::of(&alice).await.unwrap(), Api::of(&bob).await.unwrap()];
    ([alice, bob], apis)
}

#[tokio::test]
async fn line_only_parties_become_contacts_and_exchange_messages() {
    let (relay, (_daemons, [alice, bob])) = tokio::join!(Relay::start(), two("line-only"));
    add_line(&alice, &relay, false).await;
    add_line(&bob, &relay, false).await;
    befriend((&alice, "alice"), (&bob, "bob")).await;
    await_path(&alice, "bob", Path::Line).await;
    talk(&alice, &bob, "first").await;
    let status = relay.status().await;
    assert!(status.serving && status.splices >= 1 && status.bytes > 0);
    // The lines between contacts replace the line of the invitation.
    await_lines(&alice, 1).await;
    await_lines(&bob, 1).await;
}

/// The close of a session, with its reason, must reach the other side of a line: a probe ends with one, and a removed
/// contact learns from it that it was removed.
#[tokio::test]
async fn a_probe_and_a_removal_reach_the_other_side_of_a_line() {
    let (relay, (daemons, [alice, bob])) = tokio::join!(Relay::start(), two("line-only"));
    add_line(&alice, &relay, false).await;
    add_line(&bob, &relay, false).await;
    befriend((&alice, "alice"), (&bob, "bob")).await;
    talk(&alice, &bob, "first").await;
    // On a busy machine, a probe may exceed its five seconds.
    eventually("a probe that reaches alice", async || {
        let probed = daemons[1].m2(&["network", "probe", "alice"]).await?;
        Ok((probed.code == Some(0) && probed.stdout.contains("reached")).then_some(()))
    })
    .await
    .unwrap();
    let removed = daemons[0].m2(&["contact", "remove", "bob"]).await.unwrap();
    assert_eq!(removed.code, Some(0));
    eventually("the reason", async || {
        let failure = bob.contact("alice").await?.last_failure;
        Ok((failure == "NOT_A_CONTACT").then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn when_a_relay_dies_another_takes_over_and_no_message_is_lost() {
    let (first, second) = tokio::join!(Relay::start(), Relay::start());
    let (_daemons, [alice, bob]) = two("line-only").await;
    for api in [&alice, &bob] {
        add_line(api, &first, false).await;
        add_line(api, &second, false).await;
    }
    befriend((&alice, "alice"), (&bob, "bob")).await;
    talk(&alice, &bob, "first").await;
    await_lines(&alice, 2).await;
    await_lines(&bob, 2).await;
    let mut relays = [first, second];
    let serving = usize::from(relays[0].status().await.splices == 0);
    let ids = send_some(&alice).await;
    relays[serving].daemon.kill9().await.unwrap();
    let more = send_some(&alice).await;
    for id in ids.iter().chain(&more) {
        let state = MessageState::Delivered;
        alice.await_message(id, state).await.unwrap();
    }
    let received = bob.received("alice").await.unwrap();
    let expected = ["first to bob".to_owned()]
        .into_iter()
        .chain((0..100).map(|n| format!("{}", n % 50)));
    assert_eq!(received, expected.collect::<Vec<_>>());
    // The relay is used again after its restart.
    relays[serving].daemon.restart().await.unwrap();
    await_lines(&alice, 2).await;
}

async fn send_some(api: &Api) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..50 {
        ids.push(api.send("bob", &number.to_string()).await.unwrap());
    }
    ids
}

#[tokio::test]
async fn an_entry_relay_extends_the_line_to_the_meeting_relay() {
    let relays = tokio::join!(Relay::start(), Relay::start(), Relay::start());
    let (meeting, near_alice, near_bob) = relays;
    let (_daemons, [alice, bob]) = two("line-only").await;
    add_line(&alice, &near_alice, true).await;
    add_line(&alice, &meeting, false).await;
    add_line(&bob, &near_bob, true).await;
    befriend((&alice, "alice"), (&bob, "bob")).await;
    talk(&alice, &bob, "first").await;
    assert!(near_alice.status().await.extended >= 1);
    assert!(near_bob.status().await.extended >= 1);
    let status = meeting.status().await;
    assert!(status.splices >= 1);
    assert_eq!(near_alice.status().await.splices, 0);
}

#[tokio::test]
async fn a_contacts_mode_may_be_stricter_than_the_profile() {
    let (relay, (_daemons, [alice, bob])) = tokio::join!(Relay::start(), two("direct"));
    befriend((&alice, "alice"), (&bob, "bob")).await;
    await_path(&alice, "bob", Path::Direct).await;
    add_line(&alice, &relay, false).await;
    add_line(&bob, &relay, false).await;
    await_lines(&alice, 1).await;
    await_lines(&bob, 1).await;
    talk(&alice, &bob, "direct").await;
    set_ip(&alice, "bob", IpMode::LineOnly).await;
    await_path(&alice, "bob", Path::Line).await;
    talk(&alice, &bob, "hidden").await;
    await_path(&bob, "alice", Path::Line).await;
}

#[tokio::test]
async fn contacts_on_a_line_move_to_a_direct_path_in_mid_conversation() {
    let (relay, (_daemons, [alice, bob])) = tokio::join!(Relay::start(), two("direct"));
    befriend((&alice, "alice"), (&bob, "bob")).await;
    add_line(&alice, &relay, false).await;
    await_lines(&alice, 1).await;
    for (one, other) in [(&alice, "bob"), (&bob, "alice")] {
        set_ip(one, other, IpMode::LineOnly).await;
    }
    add_line(&bob, &relay, false).await;
    await_path(&alice, "bob", Path::Line).await;
    await_path(&bob, "alice", Path::Line).await;
    let ids = tokio::join!(send_some(&alice), async {
        for (one, other) in [(&alice, "bob"), (&bob, "alice")] {
            set_ip(one, other, IpMode::Unspecified).await;
        }
    });
    await_path(&alice, "bob", Path::Direct).await;
    await_path(&bob, "alice", Path::Direct).await;
    for id in &ids.0 {
        let state = MessageState::Delivered;
        alice.await_message(id, state).await.unwrap();
    }
    let received = bob.received("alice").await.unwrap();
    assert_eq!(received, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    // The contacts leave the line on which they met.
    eventually("no splice", async || {
        Ok((relay.status().await.splices == 0).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn peers_that_become_contacts_on_a_line_leave_it_for_a_direct_path() {
    // No daemon is at the address in the invitation.
    let nowhere = party("alice", "direct").announce("127.0.0.9:4433".parse().unwrap());
    let daemons = tokio::join!(
        Relay::start(),
        Daemon::start(nowhere),
        Daemon::start(party("bob", "direct"))
    );
    let (relay, alice, bob) = (daemons.0, daemons.1.unwrap(), daemons.2.unwrap());
    let [alice, bob] = [Api::of(&alice).await.unwrap(), Api::of(&bob).await.unwrap()];
    add_line(&alice, &relay, false).await;
    befriend((&alice, "alice"), (&bob, "bob")).await;
    await_path(&alice, "bob", Path::Direct).await;
    await_path(&bob, "alice", Path::Direct).await;
    assert!(
        relay.status().await.bytes > 0,
        "they did not meet on the line"
    );
}

#[tokio::test]
async fn prefer_line_uses_lines_and_falls_back_to_a_direct_path() {
    let (mut relay, (_daemons, [alice, bob])) = tokio::join!(Relay::start(), two("prefer-line"));
    befriend((&alice, "alice"), (&bob, "bob")).await;
    // There is no line yet.
    await_path(&alice, "bob", Path::Direct).await;
    add_line(&alice, &relay, false).await;
    add_line(&bob, &relay, false).await;
    await_lines(&alice, 1).await;
    await_lines(&bob, 1).await;
    talk(&alice, &bob, "told").await;
    relay.daemon.kill9().await.unwrap();
    talk(&alice, &bob, "without").await;
}
