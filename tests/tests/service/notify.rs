//! What the daemon tells systemd, shown by a socket in systemd's place.

use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::PATIENCE;
use std::fs;
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

/// The socket to which the daemon sends its notifications.
struct Manager {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        Self { socket, directory }
    }

    fn setup(&self) -> Setup {
        let path = self.directory.path().join("notify");
        let setup = Setup::new().identity("alice");
        setup.environment("NOTIFY_SOCKET", path.to_str().unwrap())
    }

    /// Waits for the next notification with a line that begins so, and returns it.
    async fn next(&self, begins: &str) -> String {
        loop {
            let mut buffer = [0; 4_096];
            let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
            let length = received.expect(begins).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line.starts_with(begins)) {
                return text;
            }
        }
    }
}

#[tokio::test]
async fn a_reload_is_reported_with_its_time_and_its_end() {
    let manager = Manager::new();
    let mut daemon = Daemon::start(manager.setup()).await.unwrap();
    manager.next("READY=1").await;
    for text in ["[log]\nfilter = \"debug\"\n", "[log]\nfilter = 7\n"] {
        fs::write(daemon.config(), text).unwrap();
        daemon.signal("HUP").await.unwrap();
        let begun = manager.next("RELOADING=1").await;
        let time = begun
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(time.unwrap().parse::<u64>().unwrap() > 0, "{begun}");
        manager.next("READY=1").await;
    }
    let status = daemon.status().await.unwrap();
    let warnings = status.warnings.join("\n");
    assert!(warnings.contains("was not reloaded"), "{warnings}");
    assert!(warnings.contains("line 2"), "{warnings}");
    assert!(daemon.stop().await.unwrap().success());
    manager.next("STOPPING=1").await;
}

#[tokio::test]
async fn the_watchdog_is_fed_only_if_systemd_asks_for_it() {
    let manager = Manager::new();
    let setup = manager.setup().environment("WATCHDOG_USEC", "2000000");
    let mut daemon = Daemon::start(setup).await.unwrap();
    manager.next("WATCHDOG=1").await;
    manager.next("WATCHDOG=1").await;
    assert!(daemon.stop().await.unwrap().success());

    let manager = Manager::new();
    let mut daemon = Daemon::start(manager.setup()).await.unwrap();
    assert!(daemon.stop().await.unwrap().success());
    let mut buffer = [0; 4_096];
    while let Ok(length) = manager.socket.try_recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(!text.contains("WATCHDOG"), "{text}");
    }
}
