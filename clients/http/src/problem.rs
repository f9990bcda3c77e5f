//! Errors as responses (RFC 9457).

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use m2_proto::client::ConnectError;
use m2_proto::reason;
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

/// An error: an HTTP status, a stable reason, and a sentence that says what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    reason: String,
    detail: String,
    metadata: Vec<(String, String)>,
}

impl Problem {
    /// Returns an error of the gateway.
    pub(crate) fn new(status: StatusCode, reason: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            detail: detail.into(),
            metadata: Vec::new(),
        }
    }

    /// Returns the error for a request that is not valid.
    pub(crate) fn argument(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", detail)
    }

    /// Returns the sentence that says what to do.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the error as JSON: `status`, `reason`, `detail`, and the daemon's metadata.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("status".to_owned(), self.status.as_u16().into());
        let title = self.status.canonical_reason().unwrap_or_default();
        object.insert("title".to_owned(), title.into());
        object.insert("reason".to_owned(), self.reason.as_str().into());
        object.insert("detail".to_owned(), self.detail.as_str().into());
        for (key, value) in &self.metadata {
            object.entry(key).or_insert_with(|| json!(value));
        }
        Value::Object(object)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let reason = reason::text_of(&status);
        let code = match reason.as_deref() {
            Some("LOCKED") => StatusCode::SERVICE_UNAVAILABLE,
            Some("DISK_FULL") => StatusCode::INSUFFICIENT_STORAGE,
            Some("MESSAGE_TOO_LARGE") => StatusCode::PAYLOAD_TOO_LARGE,
            _ => http_status(status.code()),
        };
        let detail = match (&reason, status.code()) {
            (None, Code::Unavailable | Code::Unknown | Code::Cancelled) => {
                "The daemon does not answer. Start it and try again.".to_owned()
            }
            _ => status.message().to_owned(),
        };
        Self {
            status: code,
            reason: reason.unwrap_or_else(|| "NO_DAEMON".to_owned()),
            detail,
            metadata: reason::metadata_of(&status),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::argument(format!("{}.", rejection.body_text()))
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(
                status,
                "MESSAGE_TOO_LARGE",
                "The body is larger than 256 KiB. A message has at most 48 KiB.",
            );
        }
        Self::argument(format!("{}.", rejection.body_text()))
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        // The path of the socket is not for every caller.
        tracing::warn!("{error}");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "NO_DAEMON",
            "No daemon answers the gateway. Its log says where it looked.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, kind);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

const fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable | Code::Unknown | Code::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_proto::reason::Reason;

    #[test]
    fn each_reason_has_a_status_and_a_sentence() {
        for reason in Reason::ALL {
            let problem = Problem::from(reason.status());
            let json = problem.to_json();
            assert!(problem.status.is_client_error() || problem.status.is_server_error());
            assert_eq!(json["reason"], reason.as_str());
            assert_eq!(json["detail"], reason.sentence());
        }
        let gone = Problem::from(Status::unavailable("transport error"));
        assert_eq!(gone.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(gone.to_json()["reason"], "NO_DAEMON");
    }
}
