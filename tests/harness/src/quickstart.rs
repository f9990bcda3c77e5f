//! `cargo quickstart`: two temporary daemons exchange messages, narrated in a few lines.

use crate::harness::{Daemon, Setup};
use crate::scenario::Api;
use anyhow::ensure;
use m2_proto::api::v1::{ContactState, MessageState};
use std::time::Instant;

/// Runs the demonstration, and narrates it through `say`, one line at a time.
///
/// Errors: a daemon does not start, or a step does not have the expected result.
pub async fn play(alice: Setup, bob: Setup, say: impl Fn(&str)) -> anyhow::Result<()> {
    say("Two daemons start, each with its own keys (a new identity takes a second or two) …");
    let (alice, mut bob) = tokio::try_join!(Daemon::start(alice), Daemon::start(bob))?;
    let (at_alice, at_bob) = (Api::of(&alice).await?, Api::of(&bob).await?);
    say(&format!("  alice is {}", short(&at_alice).await?));
    say(&format!("  bob is   {}", short(&at_bob).await?));

    say(
        "Alice creates an invitation. Bob adds it and dials her directly, from UDP socket to socket.",
    );
    let invitation = at_alice.invite(false, "bob").await?;
    let start = Instant::now();
    at_bob.add(&invitation, "alice").await?;
    at_bob.await_state("alice", ContactState::Contact).await?;
    at_alice.await_state("bob", ContactState::Contact).await?;
    say(&format!(
        "  contacts after {} ms",
        start.elapsed().as_millis()
    ));
    levels(&say);

    say("They exchange messages.");
    deliver(&at_bob, "alice", &at_alice, "bob", "Hello Alice!", &say).await?;
    deliver(&at_alice, "bob", &at_bob, "alice", "Hello Bob!", &say).await?;

    say("Bob's daemon is killed (SIGKILL). Alice sends a message; her daemon keeps it.");
    bob.kill9().await?;
    let text = "Are you there?";
    let id = at_alice.send("bob", text).await?;
    let waiting = at_alice.message(&id).await?;
    ensure!(
        waiting.state() < MessageState::Delivered,
        "delivered while bob's daemon is down"
    );
    say("Bob's daemon starts again and dials Alice.");
    bob.restart().await?;
    let at_bob = Api::of(&bob).await?;
    at_alice.await_message(&id, MessageState::Delivered).await?;
    let copies = at_bob.received("alice").await?;
    let copies = copies.iter().filter(|got| *got == text).count();
    ensure!(copies == 1, "the message arrived {copies} times");
    say(&format!("  Bob has \"{text}\" exactly once."));
    next_steps(&say);
    Ok(())
}

async fn short(api: &Api) -> anyhow::Result<String> {
    let id = api.status().await?.peer_id;
    Ok(format!("{}…", id.chars().take(16).collect::<String>()))
}

async fn deliver(
    from: &Api,
    to_name: &str,
    to: &Api,
    from_name: &str,
    text: &str,
    say: &impl Fn(&str),
) -> anyhow::Result<()> {
    let start = Instant::now();
    let id = from.send(to_name, text).await?;
    from.await_message(&id, MessageState::Delivered).await?;
    let elapsed = start.elapsed().as_millis();
    to.await_text(from_name, text).await?;
    say(&format!(
        "  {from_name} → {to_name}: \"{text}\"  delivered, on both disks, in {elapsed} ms"
    ));
    Ok(())
}

fn levels(say: &impl Fn(&str)) {
    say("  level 3  every datagram encrypted separately: AES-128-CTR with the circle's key");
    say(
        "  level 2  the session: fresh RSA-2048 keys on both sides, AES-128-GCM, mutual authentication",
    );
    say(
        "  level 1  the content: AES-128, its key encrypted with the receiver's RSA-4096 key, signed",
    );
}

fn next_steps(say: &impl Fn(&str)) {
    say("");
    say("To set up your own daemon:");
    say("  cargo install --path m2d && cargo install --path clients/cli");
    say("  m2d run &                       your daemon; docs/operator/running.md for a service");
    say("  m2 invite create                send the text to a friend over a channel you trust");
    say("  m2 contact add m2://…           your friend adds you with it");
    say("  m2 send NAME \"Hello\" --wait delivered");
    say("  m2 listen                       prints incoming messages");
}
