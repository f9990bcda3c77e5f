//! `m2 listen --exec --jobs`.

use super::{lines_of, wait_for_client, wait_for_lines};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, befriend, eventually};
use std::path::Path;
use tokio::process::Child;

/// The number of messages of each contact.
const MESSAGES: usize = 60;

/// A daemon with two contacts.
struct Host {
    host: Daemon,
    guests: [(&'static str, Daemon); 2],
}

impl Host {
    async fn start() -> Self {
        let start = async |name: &str| Daemon::start(Setup::new().identity(name)).await.unwrap();
        let host = start("alice").await;
        let guests = [("bob", start("bob").await), ("carol", start("carol").await)];
        for (name, guest) in &guests {
            befriend((&host, "alice"), (guest, name)).await.unwrap();
        }
        Self { host, guests }
    }

    /// Starts a listener that runs a script with `$DIR` for every event.
    fn listen(&self, directory: &Path, script: &str) -> Child {
        let mut listen = self.host.m2_command().unwrap();
        listen.args(["listen", "--client", "hook", "--jobs", "4", "--reconnect"]);
        listen.args(["--exec", script]).env("DIR", directory);
        listen.spawn().unwrap()
    }

    async fn send(&self) {
        for number in 0..MESSAGES {
            for (name, guest) in &self.guests {
                let guest = Api::of(guest).await.unwrap();
                guest
                    .send("alice", &format!("{name}-{number}"))
                    .await
                    .unwrap();
            }
        }
    }

    async fn peer_id(&self, name: &str) -> String {
        let host = Api::of(&self.host).await.unwrap();
        host.contact(name).await.unwrap().peer_id
    }
}

#[tokio::test]
async fn no_event_is_lost_and_each_contact_keeps_its_order_across_crashes() {
    let mut host = Host::start().await;
    let directory = tempfile::tempdir().unwrap();
    let script = "[ $M2_EVENT = messageReceived ] || exit 0; \
                  echo \"begin $M2_TEXT\" >> $DIR/$M2_PEER_ID; sleep 0.01; \
                  echo \"end $M2_TEXT\" >> $DIR/$M2_PEER_ID";
    let mut listen = host.listen(directory.path(), script);
    wait_for_client(&host.host, "hook", true).await;
    host.send().await;
    let bob = directory.path().join(host.peer_id("bob").await);
    // First the front-end dies, then the daemon.
    wait_for_lines(&bob, MESSAGES / 2).await;
    listen.kill().await.unwrap();
    wait_for_client(&host.host, "hook", false).await;
    let mut listen = host.listen(directory.path(), script);
    wait_for_lines(&bob, MESSAGES).await;
    host.host.kill9().await.unwrap();
    host.host.restart().await.unwrap();
    for (name, _) in &host.guests {
        let file = directory.path().join(host.peer_id(name).await);
        let last = format!("end {name}-{}", MESSAGES - 1);
        let done = eventually("the last event", async || {
            Ok(lines_of(&file).contains(&last).then_some(()))
        });
        done.await.unwrap();
        check(name, &lines_of(&file));
    }
    listen.kill().await.unwrap();
}

/// Checks that every message was handled, in order, and that only the crashes repeated or cut any.
fn check(name: &str, lines: &[String]) {
    let ends = lines.iter().filter_map(|line| line.strip_prefix("end "));
    let ends: Vec<&str> = ends.collect();
    for number in 0..MESSAGES {
        let text = format!("{name}-{number}");
        assert!(ends.contains(&text.as_str()), "{text} was not handled");
    }
    // A command of the same contact begins only after the end of the one before, unless that one was
    // killed or outlived its listener: at most one for each of two crashes.
    let overlaps = lines.windows(2).filter(|pair| {
        let begins = pair[0].starts_with("begin ") && pair[1].starts_with("begin ");
        let ends = pair[0].starts_with("end ") && pair[1].starts_with("end ");
        begins || ends
    });
    assert!(overlaps.count() <= 4, "{lines:?}");
    let number = |text: &&str| text.rsplit('-').next().unwrap().parse::<usize>().unwrap();
    let numbers: Vec<usize> = ends.iter().map(number).collect();
    let backwards = numbers.windows(2).filter(|pair| pair[1] <= pair[0]);
    assert!(backwards.count() <= 2, "{numbers:?}");
    let jumps = numbers.windows(2).filter(|pair| pair[1] > pair[0] + 1);
    assert_eq!(jumps.count(), 0, "{numbers:?}");
}
