//! Requests that fail before they reach a service: they get a reason like every other refusal.

use m2_proto::reason::Reason;
use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::{Code, Status};

/// The header with the status code of a call that failed before its response had a body.
const CODE: &str = "grpc-status";
/// The header that is present if the daemon set the status itself.
const DETAILS: &str = "grpc-status-details-bin";

/// Sets the reason INVALID_ARGUMENT for a request that is too large or can't be decoded.
pub fn explain(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let Some(code) = headers.get(CODE).filter(|_| !headers.contains_key(DETAILS)) else {
        return response;
    };
    refusal(Code::from_bytes(code.as_bytes())).map_or(response, |status| status.into_http())
}

/// Returns the replacement for the transport's status; `None` if its status is kept.
pub(super) fn refusal(code: Code) -> Option<Status> {
    let sentence = match code {
        Code::OutOfRange => "The request is larger than 1 MiB. Split it.",
        Code::Internal => {
            "The request can't be decoded: it is not the expected protobuf message, or a text in it is not UTF-8."
        }
        _ => return None,
    };
    Some(Reason::InvalidArgument.status_with(sentence))
}
