//! Bob's messages to alice, which each client has to hear.

use crate::scene::{PAUSE, Phase, Scene};
use m2_tests::scenario::Api;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const STREAM: &str = "feed";
const INTERVAL: Duration = Duration::from_millis(40);

/// Sends numbered messages, again with the same key while bob's daemon is absent.
pub(crate) async fn send(scene: Arc<Scene>) -> anyhow::Result<()> {
    scene.reached(Phase::Load).await;
    let mut number = 0;
    while !scene.has_reached(Phase::Drain) {
        if let Err(error) = send_one(&scene, number).await {
            scene.problem(STREAM, error);
            sleep(PAUSE).await;
            continue;
        }
        number += 1;
        scene.sent(STREAM, number);
        sleep(INTERVAL).await;
    }
    scene.complete(STREAM);
    Ok(())
}

async fn send_one(scene: &Scene, number: u64) -> anyhow::Result<()> {
    let mut request = Api::text("alice", &format!("event {number}"));
    request.idempotency_key = format!("event-{number}");
    Api::at(&scene.bob).await?.send_request(request).await?;
    Ok(())
}
