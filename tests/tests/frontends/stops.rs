//! The daemon stops while front-ends listen.

use super::*;

#[tokio::test]
async fn a_stream_that_the_daemon_ends_reports_the_reason() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let id = {
        pair.bob.kill9().await.unwrap();
        alice.send("bob", "waits").await.unwrap()
    };
    let mut events = alice.events("").await.unwrap();
    let request = WatchMessageRequest { message_id: id };
    let states = alice.client().messages().watch_message(request).await;
    let mut states = states.unwrap().into_inner();
    assert!(pair.alice.stop().await.unwrap().success());
    let ended = loop {
        match events.take().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if it were complete"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), tonic::Code::Unavailable);
    assert_eq!(Reason::of(&ended), Some(Reason::Stopping));
    let ended = loop {
        match states.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if the state were final"),
            Err(status) => break status,
        }
    };
    assert_eq!(Reason::of(&ended), Some(Reason::Stopping));
}

#[tokio::test]
async fn a_listener_reconnects_to_its_daemon() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let last = alice.all_events().await.unwrap().next().await.unwrap();
    let mut listen = pair.alice.m2_command().unwrap();
    listen.args(["--json", "listen", "--reconnect", "--from", &last.cursor]);
    listen.stdout(std::process::Stdio::piped());
    let mut listen = listen.spawn().unwrap();
    let mut lines = BufReader::new(listen.stdout.take().unwrap()).lines();
    send_numbers(&bob, 0..1).await;
    assert_eq!(next_text(&mut lines).await, "0");
    // The daemon is stopped, then killed, and restarted each time: no event is missing or repeated.
    assert!(pair.alice.stop().await.unwrap().success());
    send_numbers(&bob, 1..3).await;
    pair.alice.restart().await.unwrap();
    assert_eq!(next_text(&mut lines).await, "1");
    assert_eq!(next_text(&mut lines).await, "2");
    pair.alice.kill9().await.unwrap();
    pair.alice.restart().await.unwrap();
    send_numbers(&bob, 3..4).await;
    assert_eq!(next_text(&mut lines).await, "3");
    listen.kill().await.unwrap();

    // Without `--reconnect` the command ends and suggests the option.
    let mut listen = pair.alice.m2_command().unwrap();
    listen.args(["listen", "--client", "once", "--from", "start"]);
    listen.stdout(std::process::Stdio::piped());
    listen.stderr(std::process::Stdio::piped());
    let mut listen = listen.spawn().unwrap();
    let mut lines = BufReader::new(listen.stdout.take().unwrap()).lines();
    timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
    assert!(pair.alice.stop().await.unwrap().success());
    while lines.next_line().await.unwrap().is_some() {}
    let ended = listen.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(3));
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(told.contains("--reconnect"), "{told}");
}

/// The text of the next received message that `m2 --json listen` prints.
async fn next_text(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap();
        let line = line.unwrap().expect("m2 listen ended");
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some(text) = event["messageReceived"]["text"].as_str() {
            return text.to_owned();
        }
    }
}
