//! Posts to a receiver, which is bounded in time and in what it makes the gateway read.

use super::failure::Refused;
use super::settings::Webhook;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The most bytes of the head of a response.
const MAX_HEAD: usize = 16 * 1024;
/// The most bytes of the body of a response that are read, and dropped, so that the connection can be used again.
const MAX_BODY: usize = 4 * 1024;
/// How long the rest of a response may take, once its status is known.
const REST: Duration = Duration::from_millis(500);
/// How long an idle connection to the receiver is kept.
const IDLE: Duration = Duration::from_secs(30);

/// A client for one receiver, with one connection.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// The settings of TLS, which all webhooks share. The certificates of the system are read when the first webhook needs
/// them.
#[derive(Debug, Default)]
pub(super) struct Tls(Option<ClientConfig>);

impl Tls {
    fn verified(&mut self) -> io::Result<ClientConfig> {
        if let Some(config) = &self.0 {
            return Ok(config.clone());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_native_roots()
            .map_err(no_roots)?
            .with_no_client_auth();
        Ok(self.0.insert(config).clone())
    }

    /// Returns settings that accept no receiver: that of this webhook has no TLS.
    fn unused() -> io::Result<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        Ok(config)
    }
}

impl Sender {
    /// Errors: the system has no certificates of authorities.
    pub(super) fn new(webhook: &Webhook, tls: &mut Tls) -> io::Result<Self> {
        let is_https = webhook.url.scheme_str() == Some("https");
        let config = match is_https {
            true => tls.verified()?,
            false => Tls::unused()?,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(webhook.timeout));
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let builder = match is_https {
            true => builder.https_only(),
            false => builder.https_or_http(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .http1_max_buf_size(MAX_HEAD)
            .build(builder.enable_http1().wrap_connector(tcp));
        Ok(Self {
            client,
            timeout: webhook.timeout,
        })
    }

    /// Posts a request. Redirects are not followed.
    ///
    /// Errors: anything but a status of success in time.
    pub(super) async fn post(&self, request: Request<Full<Bytes>>) -> Result<(), Refused> {
        let answered = timeout(self.timeout, self.client.request(request)).await;
        let response = answered
            .map_err(|_| Refused::Timeout(self.timeout))?
            .map_err(|error| Refused::connection(&error))?;
        let verdict = verdict(&response);
        finish(response.into_body()).await;
        verdict
    }
}

fn verdict<T>(response: &Response<T>) -> Result<(), Refused> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let asked = response.headers().get(RETRY_AFTER);
    let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok());
    Err(Refused::Status {
        status: status.as_u16(),
        retry_after: asked.map(Duration::from_secs),
    })
}

/// Reads the rest of a short response. A connection whose response is longer or does not end is closed.
async fn finish(body: Incoming) {
    let rest = Limited::new(body, MAX_BODY).collect();
    let _ = timeout(REST, rest).await;
}

fn no_roots(error: io::Error) -> io::Error {
    io::Error::other(format!(
        "no certificates of authorities are on this system: install ca-certificates, or name a file in SSL_CERT_FILE \
         ({error})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: &str) -> Result<(), Refused> {
        let response = Response::builder()
            .status(status)
            .header(RETRY_AFTER, retry_after)
            .body(())
            .unwrap();
        verdict(&response)
    }

    #[test]
    fn only_a_success_is_one() {
        for status in [200, 202, 204, 299] {
            assert_eq!(answered(status, "7"), Ok(()));
        }
        for status in [300, 302, 400, 404, 410, 429, 500, 503] {
            let refused = answered(status, "7").unwrap_err();
            assert_eq!(
                refused.retry_after(),
                Some(Duration::from_secs(7)),
                "{status}"
            );
        }
        for text in ["", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(answered(429, text).unwrap_err().retry_after(), None);
        }
    }
}
