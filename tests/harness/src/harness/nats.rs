//! Real nats-server processes on loopback, for mailboxes in a cluster.

use anyhow::{Context as _, bail};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The oldest version of nats-server that the store in a cluster uses.
const OLDEST: (u32, u32) = (2, 12);

/// Timeout for a node to listen.
const START: Duration = Duration::from_secs(60);

/// A cluster of nodes with JetStream. Dropping it kills the nodes.
#[derive(Debug)]
pub struct NatsCluster {
    directory: TempDir,
    server: PathBuf,
    /// The client ports of all nodes, followed by their cluster ports.
    ports: Vec<u16>,
    nodes: Vec<Option<Child>>,
}

impl NatsCluster {
    /// Starts `nodes` nodes and waits until they listen; they may still be electing leaders.
    /// Returns `None` if no nats-server of a usable version is installed.
    ///
    /// Errors: a node does not start.
    pub async fn start(nodes: usize) -> anyhow::Result<Option<Self>> {
        let Some(server) = find_server() else {
            return Ok(None);
        };
        let mut cluster = Self {
            directory: tempfile::Builder::new().prefix("m2-nats-").tempdir()?,
            server,
            ports: free_ports(2 * nodes)?,
            nodes: (0..nodes).map(|_| None).collect(),
        };
        for node in 0..nodes {
            cluster.run(node)?;
        }
        cluster.listens().await?;
        Ok(Some(cluster))
    }

    /// Starts a node, or restarts it with its stored data.
    ///
    /// Errors: the node does not exist, or cannot be started.
    pub fn run(&mut self, node: usize) -> anyhow::Result<()> {
        let config = self.directory.path().join(format!("node{node}.conf"));
        fs::write(&config, self.config(node)?)?;
        let child = Command::new(&self.server)
            .arg("-c")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        *self.nodes.get_mut(node).context("no such node")? = Some(child);
        Ok(())
    }

    /// Kills a node with SIGKILL.
    ///
    /// Errors: the process cannot be killed.
    pub fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        if let Some(mut child) = self.nodes.get_mut(node).and_then(Option::take) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Returns the URLs for clients, `nats://…`.
    pub fn servers(&self) -> Vec<String> {
        let ports = self.ports.iter().take(self.nodes.len());
        ports
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect()
    }

    /// Returns the process ids of the running nodes.
    pub fn pids(&self) -> Vec<u32> {
        let running = self.nodes.iter().flatten();
        running.map(Child::id).collect()
    }

    fn config(&self, node: usize) -> anyhow::Result<String> {
        let (clients, routes) = self.ports.split_at(self.nodes.len());
        let port = clients.get(node).context("no such node")?;
        let route = routes.get(node).context("no such node")?;
        let store = self.directory.path().join(format!("node{node}"));
        let log = store.with_extension("log");
        let mut text = format!(
            "server_name: node{node}\nlisten: \"127.0.0.1:{port}\"\nlog_file: \"{}\"\n\
             jetstream {{ store_dir: \"{}\", max_mem: 64MB, max_file: 4TB }}\n",
            log.display(),
            store.display(),
        );
        if self.nodes.len() > 1 {
            let quoted = |port| format!("\"nats://127.0.0.1:{port}\"");
            let peers: Vec<_> = routes.iter().map(quoted).collect();
            text += &format!(
                "cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
                peers.join(", ")
            );
        }
        Ok(text)
    }

    async fn listens(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        for port in self.ports.iter().take(self.nodes.len()) {
            while TcpStream::connect(("127.0.0.1", *port)).await.is_err() {
                if start.elapsed() > START {
                    bail!("nats-server does not start");
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}

impl Drop for NatsCluster {
    fn drop(&mut self) {
        for node in 0..self.nodes.len() {
            // The node may already have exited.
            let _ = self.kill(node);
        }
    }
}

/// Returns free TCP ports. All sockets are held until all ports are known, so that the ports are
/// distinct.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let sockets = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<Vec<_>, _>>()?;
    let ports = sockets.iter().map(|socket| Ok(socket.local_addr()?.port()));
    ports.collect()
}

/// Returns the first nats-server on the path that is not older than [`OLDEST`].
fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    dirs.map(|dir| dir.join("nats-server"))
        .find(|file| version(file).is_some_and(|version| version >= OLDEST))
}

fn version(server: &Path) -> Option<(u32, u32)> {
    let output = Command::new(server).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
