//! Any of the three is killed, frozen or restarted: no message is lost.

use super::Home;
use m2_tests::scenario::eventually;

#[tokio::test]
async fn messages_outlast_a_broker_that_dies_and_one_that_hangs() {
    let Some(mut home) = Home::start().await else {
        return;
    };
    home.device().await;
    home.bob.send("alice", "before").await.unwrap();
    home.await_event("before").await;
    home.broker.kill9();
    for number in 0..100 {
        home.bob
            .send("alice", &format!("while it is dead {number}"))
            .await
            .unwrap();
    }
    home.alice
        .await_text("bob", "while it is dead 99")
        .await
        .unwrap();
    home.broker.restart().await;
    for number in 0..100 {
        home.await_event(&format!("while it is dead {number}"))
            .await;
    }
    home.broker.freeze(true);
    home.bob.send("alice", "while it hangs").await.unwrap();
    home.alice
        .await_text("bob", "while it hangs")
        .await
        .unwrap();
    home.broker.freeze(false);
    home.await_event("while it hangs").await;
    // The bridge did not disturb the daemon.
    home.alice.send("bob", "hello").await.unwrap();
    home.bob.await_text("alice", "hello").await.unwrap();
}

#[tokio::test]
async fn messages_and_commands_outlast_a_bridge_that_is_killed() {
    let Some(mut home) = Home::start().await else {
        return;
    };
    let topic = home.command_topic().await;
    for round in 0..3 {
        home.bridge.kill9().await;
        home.listener.await_value("m2/bridge", "offline").await;
        home.bob
            .send("alice", &format!("event {round}"))
            .await
            .unwrap();
        home.listener.notify(&topic, "the same command").await;
        home.bridge.restart();
        home.await_event(&format!("event {round}")).await;
        home.listener.await_value("m2/bridge", "online").await;
    }
    // Killed at any moment: a repeated command is not sent twice.
    for number in 0..20 {
        home.listener
            .notify(&topic, &format!("command {number}"))
            .await;
        if number % 5 == 0 {
            home.bridge.kill9().await;
            home.bridge.restart();
        }
    }
    home.bob.await_text("alice", "command 19").await.unwrap();
    let mut received = home.bob.received("alice").await.unwrap();
    assert_eq!(received.len(), 23, "{received:?}");
    received.sort();
    received.dedup();
    assert_eq!(received.len(), 21);
}

#[tokio::test]
async fn commands_wait_for_a_daemon_that_is_away() {
    let Some(mut home) = Home::start().await else {
        return;
    };
    let topic = home.command_topic().await;
    home.pair.alice.kill9().await.unwrap();
    home.listener.await_value("m2/daemon", "offline").await;
    // More than the bridge takes at once.
    for number in 0..40 {
        let text = format!("command {number}");
        home.listener.notify(&topic, &text).await;
    }
    home.bridge.kill9().await;
    home.bridge.restart();
    home.pair.alice.restart().await.unwrap();
    home.listener.await_value("m2/daemon", "online").await;
    eventually("all commands", async || {
        let received = home.bob.received("alice").await?;
        Ok((received.len() == 40).then_some(()))
    })
    .await
    .unwrap();
    let received = home.bob.received("alice").await.unwrap();
    let expected: Vec<String> = (0..40).map(|number| format!("command {number}")).collect();
    assert_eq!(received, expected, "in order, each once");
    home.bob.send("alice", "after it").await.unwrap();
    home.await_event("after it").await;
}
