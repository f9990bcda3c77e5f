//! Who may do what: access tokens, their scopes and contacts, and other users of the computer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod contacts;
mod matrix;
mod tokens;
mod users;

use m2_proto::api::v1::{AccessScope, CreateTokenRequest};
use m2_proto::reason::Reason;
use m2_proto::token::Token;
use m2_tests::scenario::Api;
use tonic::Status;

/// Creates a token. Returns its text.
async fn create(
    owner: &Api,
    name: &str,
    scopes: &[AccessScope],
    contacts: &[&str],
) -> Result<String, Status> {
    let request = CreateTokenRequest {
        name: name.to_owned(),
        scopes: scopes.iter().map(|&scope| scope.into()).collect(),
        contacts: contacts.iter().map(|&contact| contact.to_owned()).collect(),
        valid_for: None,
    };
    let answer = owner.client().access().create_token(request).await?;
    Ok(answer.into_inner().token)
}

/// Returns a connection that shows a token.
fn with(api: &Api, token: &str) -> Api {
    api.with_token(Token::parse(token, "the token").unwrap())
}

fn reason<T>(result: Result<T, Status>) -> Option<Reason> {
    result.err().as_ref().and_then(Reason::of)
}
