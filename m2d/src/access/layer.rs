//! Admits or refuses each request before it reaches a service.

use super::registry::Grant;
use super::revocable::until_ended;
use super::uses::Use;
use super::{Access, Caller, Peer};
use futures::future::BoxFuture;
use m2_core::access::{Call, Rule, Scopes};
use m2_proto::reason::Reason;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::request::Parts;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

/// The scheme of the header that shows a token, in lower case.
const SCHEME: &str = "bearer";

/// Adds access control to services.
#[derive(Debug, Clone)]
pub struct AccessLayer(pub Arc<Access>);

/// A service with access control.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
    access: Arc<Access>,
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            access: self.0.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that was polled until it was ready is called, and a copy takes its place.
        let copy = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, copy);
        let access = self.access.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let caller = match access.admit(&head).await {
                Ok(caller) => caller,
                Err(status) => {
                    let path = head.uri.path();
                    tracing::debug!(?path, code = ?status.code(), "a call is refused");
                    return Ok(status.into_http());
                }
            };
            head.extensions.insert(caller.clone());
            let response = inner.call(Request::from_parts(head, body)).await?;
            caller.record_once();
            Ok(match caller.grant() {
                Some(grant) => until_ended(response, grant.clone()),
                None => response,
            })
        })
    }
}

impl Access {
    /// Returns the caller of a request that may be made.
    ///
    /// Errors: NOT_ALLOWED, TOKEN_INVALID, LOCKED.
    async fn admit(self: &Arc<Self>, head: &Parts) -> Result<Caller, Status> {
        let peer = head.extensions.get::<Option<Peer>>();
        let peer = peer.and_then(Option::as_ref);
        let peer = peer.ok_or_else(|| self.stranger())?;
        let shown = shown_token(&head.headers)?;
        let is_owner = self.users.is_owner(peer).await;
        if !is_owner && (shown.is_none() || !self.users.others_show_tokens()) {
            return Err(self.stranger());
        }
        let call = Call::of_path(head.uri.path()).ok_or_else(unknown_call)?;
        let grant = shown.map(|text| self.grant(text)).transpose()?;
        if let Some(grant) = &grant {
            self.check_rule(call, grant)?;
        }
        Ok(Caller::new(peer, call, grant, self.clone()))
    }

    fn grant(&self, text: &str) -> Result<Grant, Status> {
        if !self.tokens.is_open() {
            return Err(Reason::Locked.status());
        }
        let found = self.tokens.find(text);
        found.ok_or_else(|| Reason::TokenInvalid.status())
    }

    /// Checks that a token permits a call, and records a call that it does not permit.
    fn check_rule(&self, call: &'static Call, grant: &Grant) -> Result<(), Status> {
        let refused = match call.rule {
            Rule::Connected => return Ok(()),
            Rule::Token(scopes) if grant.scopes().permit(scopes) => return Ok(()),
            Rule::UnlimitedToken(scopes) if grant.scopes().permit(scopes) => {
                if !grant.is_limited() {
                    return Ok(());
                }
                "Not allowed: an access token that is limited to contacts does not permit this call."
                    .to_owned()
            }
            Rule::Token(scopes) | Rule::UnlimitedToken(scopes) => needs(scopes),
            Rule::Owner => "Not allowed: only the owner may make this call, and no access token \
                            permits it."
                .to_owned(),
        };
        self.uses.add(Use {
            token: grant.name(),
            call: call.name,
            contact: None,
            permitted: false,
            now_ms: grant.now_ms(),
        });
        Err(Reason::NotAllowed.status_with(refused))
    }

    /// Returns the refusal of a user that may not use the daemon.
    fn stranger(&self) -> Status {
        let refusal = self.users.refusal();
        let token = if self.users.others_show_tokens() {
            ", or with an access token of its owner"
        } else {
            ""
        };
        Reason::NotAllowed.status_with(format!("Not allowed: {refusal}{token}."))
    }
}

fn needs(scopes: Scopes) -> String {
    let names: Vec<String> = scopes
        .iter()
        .map(|scope| format!("{scope:?}").to_lowercase())
        .collect();
    format!(
        "Not allowed: the access token lacks the scope for this call ({}). Ask the owner for a token \
         with it.",
        names.join(" or ")
    )
}

fn unknown_call() -> Status {
    Status::unimplemented("The daemon does not know this call. Update m2d.")
}

/// Returns the token that a request shows, if it shows one.
///
/// Errors: TOKEN_INVALID if the header has another form, or there are several.
fn shown_token(headers: &HeaderMap) -> Result<Option<&str>, Status> {
    let invalid = || Reason::TokenInvalid.status();
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(invalid());
    }
    Ok(Some(token.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::codegen::http::HeaderValue;

    fn shown(values: &[&'static str]) -> Result<Option<String>, Option<Reason>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let shown = shown_token(&headers);
        shown
            .map(|token| token.map(str::to_owned))
            .map_err(|status| Reason::of(&status))
    }

    #[test]
    fn a_request_shows_one_token_or_none() {
        assert_eq!(shown(&[]), Ok(None));
        assert_eq!(shown(&["Bearer m2t_1"]), Ok(Some("m2t_1".to_owned())));
        assert_eq!(shown(&["bearer  m2t_1 "]), Ok(Some("m2t_1".to_owned())));
        for wrong in [
            &["m2t_1"][..],
            &["Basic m2t_1"],
            &["Bearer"],
            &["Bearer m2t_1", "Bearer m2t_2"],
            &[""],
        ] {
            assert_eq!(shown(wrong), Err(Some(Reason::TokenInvalid)), "{wrong:?}");
        }
    }
}
