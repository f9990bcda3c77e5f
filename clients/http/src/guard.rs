//! Keeps web pages of other origins away from the gateway: DNS rebinding and cross-site requests.

use crate::args::Listen;
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CACHE_CONTROL, HOST, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The hosts and origins that may be named in requests.
#[derive(Debug)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Guard {
    /// Returns a guard that accepts localhost, the address of the gateway, and what the user names.
    pub(crate) fn new(listen: &Listen, hosts: &[String], origins: &[String]) -> Self {
        let mut all = vec!["localhost".to_owned()];
        if let Listen::Tcp(address) = listen {
            all.push(if address.is_ipv6() {
                format!("[{}]", address.ip())
            } else {
                address.ip().to_string()
            });
        }
        all.extend(hosts.iter().map(|host| host.to_lowercase()));
        Self {
            hosts: all,
            origins: origins.iter().map(|origin| origin.to_lowercase()).collect(),
        }
    }

    /// Returns the origin whose page made the request, if one did.
    fn check(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
        let host = single(headers, HOST).map(host_name);
        if !host.is_some_and(|host| self.hosts.contains(&host)) {
            return Err(refused(
                StatusCode::MISDIRECTED_REQUEST,
                "The request names a host that is not this gateway. Add it with --allow-host.",
            ));
        }
        if headers.contains_key(ORIGIN) {
            let origin = single(headers, ORIGIN).map(str::to_lowercase);
            let is_known = origin.is_some_and(|origin| self.origins.contains(&origin));
            let value = headers.get(ORIGIN).filter(|_| is_known).cloned();
            return value.map(Some).ok_or_else(foreign);
        }
        let is_foreign = single(headers, "sec-fetch-site")
            .is_some_and(|site| !matches!(site, "same-origin" | "none"));
        if is_foreign { Err(foreign()) } else { Ok(None) }
    }
}

/// Refuses requests that another origin's page may have made, and adds headers to responses.
pub(crate) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = match guard.check(request.headers()) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    let is_preflight = request.method() == Method::OPTIONS && origin.is_some();
    let mut response = if is_preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID";
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(allowed),
        );
    }
    response
}

/// Returns the value of a header that occurs once.
fn single(headers: &HeaderMap, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// Returns the name in a Host header, without its port, in lower case.
fn host_name(host: &str) -> String {
    let host = host.to_lowercase();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        _ => host,
    }
}

fn foreign() -> Problem {
    refused(
        StatusCode::FORBIDDEN,
        "The request comes from a web page of another origin. Add the origin with --allow-origin.",
    )
}

fn refused(status: StatusCode, detail: &str) -> Problem {
    Problem::new(status, "NOT_ALLOWED", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&'static str, &'static str)]) -> bool {
        let listen = Listen::Tcp(([127, 0, 0, 1], 8720).into());
        let hosts = ["m2.home.example".to_owned()];
        let origins = ["https://home.example".to_owned()];
        let guard = Guard::new(&listen, &hosts, &origins);
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        guard.check(&headers).is_ok()
    }

    #[test]
    fn only_known_hosts_are_served() {
        for host in [
            "localhost",
            "LOCALHOST:8720",
            "127.0.0.1:8720",
            "m2.home.example",
        ] {
            assert!(check(&[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.2",
            "localhost:x",
        ] {
            assert!(!check(&[("host", host)]), "{host}");
        }
        assert!(!check(&[]));
        assert!(!check(&[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = ("host", "localhost");
        assert!(check(&[host, ("origin", "https://home.example")]));
        for origin in [
            "null",
            "http://home.example",
            "https://evil.example",
            "http://localhost",
        ] {
            assert!(!check(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(check(&[host, ("sec-fetch-site", "none")]));
        assert!(!check(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[host, ("sec-fetch-site", "same-site")]));
    }
}
