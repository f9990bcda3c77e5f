//! `AccessService`.

use super::convert;
use super::session::{ApiState, Ready};
use m2_core::access::{Scope, Scopes};
use m2_engine::{AccessRequest, NewAccessToken, Refusal};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::access_service_server::AccessService;
use m2_store::{AccessTokenRow, TokenContactRow, TokenUseRow};
use std::sync::Arc;
use tonic::{Request, Response, Status};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
const DEFAULT_USES: u32 = 100;
const MAX_USES: u32 = 1_000;

/// The implementation of the service.
pub(super) struct AccessApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl AccessService for AccessApi {
    async fn create_token(
        &self,
        request: Request<pb::CreateTokenRequest>,
    ) -> Result<Response<pb::CreateTokenResponse>, Status> {
        let ready = self.0.ready()?;
        let new = new_token(request.into_inner())?;
        let (row, text) = ready
            .engine
            .call(|reply| AccessRequest::Create(new, reply))
            .await?;
        let contacts = contacts(ready).await?;
        let info = Some(show(row, &contacts, &[]));
        Ok(Response::new(pb::CreateTokenResponse {
            token: text.to_string(),
            info,
        }))
    }

    async fn list_tokens(
        &self,
        _request: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        let ready = self.0.ready()?;
        // While the store can't be written, the uses since then are missing.
        let _ = self.0.access.uses.store(&ready.engine).await;
        let rows = ready.readers.read(|reader| reader.access_tokens()).await?;
        let used = ready.readers.read(|reader| reader.last_uses()).await?;
        let contacts = contacts(ready).await?;
        let tokens = rows.into_iter().map(|row| show(row, &contacts, &used));
        Ok(Response::new(pb::ListTokensResponse {
            tokens: tokens.collect(),
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let ready = self.0.ready()?;
        let name = request.into_inner().name;
        ready
            .engine
            .call(|reply| AccessRequest::Revoke(name, reply))
            .await?;
        Ok(Response::new(pb::RevokeTokenResponse {}))
    }

    async fn list_token_uses(
        &self,
        request: Request<pb::ListTokenUsesRequest>,
    ) -> Result<Response<pb::ListTokenUsesResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::ListTokenUsesRequest { name, limit } = request.into_inner();
        let limit = uses_limit(limit)?;
        let _ = self.0.access.uses.store(&ready.engine).await;
        let rows = ready
            .readers
            .read(move |reader| {
                let token = (!name.is_empty()).then_some(name.as_str());
                reader.token_uses(token, limit)
            })
            .await?;
        Ok(Response::new(pb::ListTokenUsesResponse {
            uses: rows.into_iter().map(show_use).collect(),
        }))
    }
}

fn new_token(request: pb::CreateTokenRequest) -> Result<NewAccessToken, Refusal> {
    convert::check_name("name", &request.name)?;
    let valid_ms = request.valid_for.map(|valid| {
        let limit = "1 minute to 3,650 days";
        convert::duration_ms(&valid, MINUTE_MS, 3_650 * DAY_MS, "valid_for", limit)
    });
    Ok(NewAccessToken {
        scopes: parse_scopes(&request.scopes)?,
        valid_ms: valid_ms.transpose()?,
        name: request.name,
        contacts: request.contacts,
    })
}

fn parse_scopes(scopes: &[i32]) -> Result<Scopes, Refusal> {
    let scopes = scopes.iter().map(|&scope| {
        Ok(match convert::known("scopes", scope)? {
            pb::AccessScope::Unspecified => {
                return Err(Refusal::argument(
                    "scopes",
                    "a scope",
                    "ACCESS_SCOPE_UNSPECIFIED is no scope. Name the scopes of the token.",
                ));
            }
            pb::AccessScope::Events => Scope::Events,
            pb::AccessScope::Send => Scope::Send,
            pb::AccessScope::History => Scope::History,
            pb::AccessScope::Contacts => Scope::Contacts,
            pb::AccessScope::Admin => Scope::Admin,
            pb::AccessScope::Status => Scope::Status,
        })
    });
    let scopes: Vec<Scope> = scopes.collect::<Result<_, Refusal>>()?;
    Ok(Scopes::of(&scopes))
}

const fn scope(scope: Scope) -> pb::AccessScope {
    match scope {
        Scope::Events => pb::AccessScope::Events,
        Scope::Send => pb::AccessScope::Send,
        Scope::History => pb::AccessScope::History,
        Scope::Contacts => pb::AccessScope::Contacts,
        Scope::Admin => pb::AccessScope::Admin,
        Scope::Status => pb::AccessScope::Status,
    }
}

fn uses_limit(limit: u32) -> Result<u32, Refusal> {
    match limit {
        0 => Ok(DEFAULT_USES),
        1..=MAX_USES => Ok(limit),
        _ => Err(Refusal::argument(
            "limit",
            "1..1000",
            "The limit must be from 1 to 1,000.",
        )),
    }
}

async fn contacts(ready: &Ready) -> Result<Vec<TokenContactRow>, Refusal> {
    let read = ready.readers.read(|reader| reader.token_contacts());
    read.await
}

/// Converts a token. `used`: the time of the last call of each token name, which an earlier token may have had.
fn show(
    row: AccessTokenRow,
    contacts: &[TokenContactRow],
    used: &[(String, u64)],
) -> pb::AccessToken {
    let scopes = Scopes::from_bits(row.scopes).unwrap_or_default();
    let of_token = contacts.iter().filter(|contact| contact.token == row.name);
    let contacts = of_token.map(|contact| pb::TokenContact {
        peer_id: contact.peer_id.to_string(),
        name: contact.name.clone(),
    });
    let used = used.iter().find(|(name, _)| *name == row.name);
    let used = used.map(|(_, at_ms)| *at_ms);
    pb::AccessToken {
        scopes: scopes.iter().map(|it| scope(it).into()).collect(),
        limited: row.contacts.is_some(),
        contacts: contacts.collect(),
        created: Some(convert::timestamp(row.created_ms)),
        expires: row.expires_ms.map(convert::timestamp),
        last_used: used
            .filter(|at_ms| *at_ms >= row.created_ms)
            .map(convert::timestamp),
        name: row.name,
    }
}

fn show_use(row: TokenUseRow) -> pb::TokenUse {
    pb::TokenUse {
        name: row.token,
        call: row.call,
        peer_id: row.peer_id.map(|peer| peer.to_string()).unwrap_or_default(),
        permitted: row.uses,
        refused: row.refused,
        first: Some(convert::timestamp(row.first_ms)),
        last: Some(convert::timestamp(row.last_ms)),
    }
}
