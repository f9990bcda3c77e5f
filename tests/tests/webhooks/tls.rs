//! Receivers with TLS.

use crate::receiver::SECRET;
use crate::{Hooks, await_no_warning, await_warning};
use m2_tests::gateway::Gateway;
use m2_tests::scenario::{PATIENCE, Pair};
use m2_tests::skip::skip;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Accepts every post, and prints its port and the ids of the posts.
const SERVER: &str = r#"
import http.server, ssl, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print(self.headers["webhook-id"], flush=True)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/cert.pem", sys.argv[1] + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_port, flush=True)
server.serve_forever()
"#;

struct Server {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["-c", SERVER])
            .arg(directory)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            _process: process,
            lines,
        }
    }

    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.unwrap();
        line.unwrap().expect("the server goes on")
    }
}

async fn has(program: &str, argument: &str) -> bool {
    let run = Command::new(program).arg(argument).output().await;
    run.is_ok_and(|run| run.status.success())
}

async fn certificate(directory: &Path) {
    let run = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(directory)
        .output()
        .await
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[tokio::test]
async fn the_certificate_of_a_receiver_is_verified() {
    if !has("python3", "--version").await || !has("openssl", "version").await {
        return skip("python3 or openssl is not installed");
    }
    assert_eq!(SECRET.len(), 32);
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path()).await;
    let other = tempfile::tempdir().unwrap();
    certificate(other.path()).await;
    let mut server = Server::start(directory.path());
    let url = format!("https://localhost:{}/", server.line().await);
    let hooks = Hooks::new(&alice).await.add("tls", &url, "");
    let file = hooks.file();
    let arguments = ["--config", file.to_str().unwrap()];
    let roots = other.path().join("cert.pem");
    let roots = [("SSL_CERT_FILE", roots.as_os_str())];
    let gateway = Gateway::start_in(&pair.alice, &arguments, &roots).await;
    m2_tests::scenario::eventually("the webhook listens", async || {
        Ok((!crate::clients(&alice).await.is_empty()).then_some(()))
    })
    .await
    .unwrap();
    bob.send("alice", "hello").await.unwrap();
    let warning = await_warning(&alice, "webhook-tls").await;
    assert!(warning.contains("certificate"), "{warning}");
    gateway.kill9().await;
    let roots = directory.path().join("cert.pem");
    let roots = [("SSL_CERT_FILE", roots.as_os_str())];
    let _gateway = Gateway::start_in(&pair.alice, &arguments, &roots).await;
    assert!(server.line().await.contains('-'), "the id of the event");
    await_no_warning(&alice, "webhook-tls").await;
}
