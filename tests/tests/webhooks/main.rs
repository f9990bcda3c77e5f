//! Webhooks of real gateways: no receiver costs a message, memory, or another webhook's progress.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod delivery;
mod receiver;
mod tls;
mod trouble;

use m2_proto::api::v1::{AccessScope, CreateTokenRequest};
use m2_tests::gateway::Gateway;
use m2_tests::harness::Daemon;
use m2_tests::scenario::{Api, eventually};
use receiver::SECRET;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// A configuration with webhooks, in a directory with their secret and their token.
#[derive(Debug)]
struct Hooks {
    directory: TempDir,
    text: String,
}

impl Hooks {
    /// Creates a token for the webhooks of a daemon.
    async fn new(api: &Api) -> Self {
        let request = CreateTokenRequest {
            name: "webhooks".to_owned(),
            scopes: vec![AccessScope::Events.into()],
            ..Default::default()
        };
        let mut access = api.client().access();
        let token = access.create_token(request).await.unwrap().into_inner();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), &token.token).unwrap();
        let secret = directory.path().join("secret");
        fs::write(&secret, format!("whsec_{SECRET}\n")).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let text = String::new();
        Self { directory, text }
    }

    /// Adds a webhook.
    fn add(mut self, name: &str, url: &str, more: &str) -> Self {
        self.text.push_str(&format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nlongest_pause_seconds = 1\n\
             timeout_seconds = 1\nkinds = [\"messageReceived\"]\nsecret_file = \"secret\"\n\
             token_file = \"token\"\n{more}\n"
        ));
        self
    }

    fn file(&self) -> PathBuf {
        let path = self.directory.path().join("m2-http.toml");
        fs::write(&path, &self.text).unwrap();
        path
    }

    /// Starts a gateway, and waits until each webhook has its place in the event log.
    async fn start(&self, daemon: &Daemon, api: &Api) -> Gateway {
        let file = self.file();
        let gateway = Gateway::start(daemon, &["--config", file.to_str().unwrap()]).await;
        let count = self.text.matches("[[webhook]]").count();
        eventually("the webhooks listen", async || {
            let clients = clients(api).await;
            let connected = clients.iter().filter(|client| client.connected);
            Ok((connected.count() == count).then_some(()))
        })
        .await
        .unwrap();
        gateway
    }
}

async fn clients(api: &Api) -> Vec<m2_proto::api::v1::EventClient> {
    let request = m2_proto::api::v1::ListClientsRequest {};
    let listed = api.client().events().list_clients(request).await.unwrap();
    listed.into_inner().clients
}

/// Returns the warnings of the daemon's status that name a webhook.
async fn warnings(api: &Api, client: &str) -> Vec<String> {
    let warnings = api.status().await.unwrap().warnings.into_iter();
    warnings.filter(|text| text.contains(client)).collect()
}

/// Waits until the daemon's status warns of a webhook. Returns the warning.
async fn await_warning(api: &Api, client: &str) -> String {
    let warned = eventually("a warning", async || Ok(warnings(api, client).await.pop()));
    warned.await.unwrap()
}

/// Waits until the daemon's status does not warn of a webhook.
async fn await_no_warning(api: &Api, client: &str) {
    eventually("no warning", async || {
        Ok(warnings(api, client).await.is_empty().then_some(()))
    })
    .await
    .unwrap();
}

async fn send_numbered(from: &Api, to: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    let texts: Vec<String> = numbers.map(|number| format!("text {number}")).collect();
    for text in &texts {
        from.send(to, text).await.unwrap();
    }
    texts
}
