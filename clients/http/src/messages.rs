//! Messages.

use crate::daemon::Authorized;
use crate::pointer::Pointers;
use crate::problem::Problem;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{
    EditMessageRequest, EditMessageResponse, GetMessageRequest, ListMessagesRequest,
    ListMessagesResponse, MarkReadRequest, MarkReadResponse, Message, ReactRequest, ReactResponse,
    RetractMessageRequest, RetractMessageResponse, SearchMessagesRequest, SearchMessagesResponse,
    SendMessageRequest, SendMessageResponse,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The type of a body for which `curl -d` names no type of its own.
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// The header with the idempotency key, which may also be a field of the JSON body.
const KEY: &str = "idempotency-key";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Page {
    limit: u32,
    before: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Words {
    text: String,
    contact: String,
    limit: u32,
    before: String,
}

pub(crate) async fn send(
    Authorized(client): Authorized,
    Path(contact): Path<String>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<SendMessageResponse>), Problem> {
    let Query(query) = query?;
    let pointers = Pointers::parse(query)?;
    let request = message(contact, pointers.as_ref(), &headers, &body?)?;
    let answer = client.messages().send_message(request).await?;
    Ok((StatusCode::ACCEPTED, Json(answer.into_inner())))
}

pub(crate) async fn list(
    Authorized(client): Authorized,
    Path(contact): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<ListMessagesResponse>, Problem> {
    let Query(page) = page?;
    let request = ListMessagesRequest {
        contact,
        limit: page.limit,
        before: page.before,
        ..ListMessagesRequest::default()
    };
    let answer = client.messages().list_messages(request).await?;
    Ok(Json(answer.into_inner()))
}

pub(crate) async fn search(
    Authorized(client): Authorized,
    words: Result<Query<Words>, QueryRejection>,
) -> Result<Json<SearchMessagesResponse>, Problem> {
    let Query(words) = words?;
    let request = SearchMessagesRequest {
        text: words.text,
        contact: words.contact,
        limit: words.limit,
        before: words.before,
    };
    let answer = client.messages().search_messages(request).await?;
    Ok(Json(answer.into_inner()))
}

pub(crate) async fn show(
    Authorized(client): Authorized,
    Path(message_id): Path<String>,
) -> Result<Json<Message>, Problem> {
    let request = GetMessageRequest { message_id };
    let answer = client.messages().get_message(request).await?.into_inner();
    Ok(Json(answer.message.unwrap_or_default()))
}

pub(crate) async fn edit(
    Authorized(client): Authorized,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<EditMessageResponse>, Problem> {
    let body = body?;
    if body.is_empty() {
        return Err(Problem::argument(
            "The request has no body, which is the new text. DELETE retracts a message.",
        ));
    }
    let mut request: EditMessageRequest = match kind(&headers) {
        JSON => json(&body)?,
        _ => EditMessageRequest {
            text: text(&body)?,
            ..EditMessageRequest::default()
        },
    };
    request.message_id = same(request.message_id, id)?;
    let answer = client.messages().edit_message(request).await?;
    Ok(Json(answer.into_inner()))
}

pub(crate) async fn retract(
    Authorized(client): Authorized,
    Path(message_id): Path<String>,
) -> Result<Json<RetractMessageResponse>, Problem> {
    let request = RetractMessageRequest { message_id };
    let answer = client.messages().retract_message(request).await?;
    Ok(Json(answer.into_inner()))
}

pub(crate) async fn react(
    Authorized(client): Authorized,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ReactResponse>, Problem> {
    let body = body?;
    let mut request: ReactRequest = match kind(&headers) {
        JSON => json(&body)?,
        _ => ReactRequest {
            text: text(&body)?,
            ..ReactRequest::default()
        },
    };
    request.message_id = same(request.message_id, id)?;
    let answer = client.messages().react(request).await?;
    Ok(Json(answer.into_inner()))
}

pub(crate) async fn read(
    Authorized(client): Authorized,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<MarkReadResponse>, Problem> {
    let request: MarkReadRequest = json(&body?)?;
    let answer = client.messages().mark_read(request).await?;
    Ok(Json(answer.into_inner()))
}

/// Returns the message of a request: the texts to which the pointers lead, a JSON object, a text, or data.
fn message(
    contact: String,
    pointers: Option<&Pointers>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<SendMessageRequest, Problem> {
    let mut request: SendMessageRequest = match (pointers, kind(headers)) {
        (Some(pointers), _) => as_text(pointers.text(body)?),
        (None, JSON) => json(body)?,
        (None, "" | FORM) => as_text(text(body)?),
        (None, kind) if kind.starts_with("text/plain") => as_text(text(body)?),
        (None, kind) => SendMessageRequest {
            content: Some(Content::Data(body.to_vec())),
            media_type: kind.to_owned(),
            ..SendMessageRequest::default()
        },
    };
    request.contact = same(request.contact, contact)?;
    if let Some(key) = headers.get(KEY) {
        let key = key.to_str().map_err(|_| {
            Problem::argument("The header Idempotency-Key has characters that are not ASCII.")
        })?;
        request.idempotency_key = same(request.idempotency_key, key.to_owned())?;
    }
    Ok(request)
}

fn as_text(text: String) -> SendMessageRequest {
    SendMessageRequest {
        content: Some(Content::Text(text)),
        ..SendMessageRequest::default()
    }
}

fn text(body: &[u8]) -> Result<String, Problem> {
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| Problem::argument("The body is not UTF-8."))?;
    Ok(text.to_owned())
}

/// Parses a JSON body of the API.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::argument(format!("The body is not the expected JSON: {error}.")))
}

/// Returns the value of the path or header, unless the body has another one.
fn same(in_body: String, outside: String) -> Result<String, Problem> {
    if in_body.is_empty() || in_body == outside {
        Ok(outside)
    } else {
        Err(Problem::argument(
            "The body names another contact, message or key than the path or the headers.",
        ))
    }
}

/// Returns the media type of a body; `application/json` without its parameters.
fn kind(headers: &HeaderMap) -> &str {
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(JSON) {
        JSON
    } else if essence.eq_ignore_ascii_case(FORM) {
        FORM
    } else {
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn parsed(kind: &'static str, body: &str) -> Result<SendMessageRequest, Problem> {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        message("ann".to_owned(), None, &headers, body.as_bytes())
    }

    #[test]
    fn what_curl_sends_is_a_text() {
        for kind in ["", FORM, "text/plain", "text/plain; charset=utf-8"] {
            let request = parsed(kind, "Backup & co = done").unwrap();
            let content = Some(Content::Text("Backup & co = done".to_owned()));
            assert_eq!(request.content, content, "{kind}");
            assert_eq!(request.contact, "ann");
        }
        let request = parsed("image/png", "x").unwrap();
        assert_eq!(request.media_type, "image/png");
        assert_eq!(request.content, Some(Content::Data(b"x".to_vec())));
    }

    #[test]
    fn json_has_the_fields_of_the_api() {
        let body = r#"{"text": "hello", "idempotencyKey": "k", "ttl": "60s"}"#;
        let request = parsed("application/json; charset=utf-8", body).unwrap();
        assert_eq!(request.content, Some(Content::Text("hello".to_owned())));
        assert_eq!(request.idempotency_key, "k");
        assert!(parsed(JSON, "{").is_err());
        assert!(parsed(JSON, r#"{"text": 3}"#).is_err());
        let other = r#"{"contact": "bob", "text": "hello"}"#;
        assert!(parsed(JSON, other).is_err(), "the path says ann");
    }
}
