//! Requests that fail before a service sees them: they get a reason as every other refusal.

use m2_proto::reason::Reason;
use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::{Code, Status};

/// Where gRPC says what a call came to, when it failed at once.
const CODE: &str = "grpc-status";
/// There when one of our refusals was said.
const DETAILS: &str = "grpc-status-details-bin";

/// Gives INVALID_ARGUMENT to a call whose request is too large or can't be decoded.
pub fn explain(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let Some(code) = headers.get(CODE).filter(|_| !headers.contains_key(DETAILS)) else {
        return response;
    };
    refusal(Code::from_bytes(code.as_bytes())).map_or(response, |status| status.into_http())
}

/// What is said in the place of the transport's own words; None for what it may say.
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
