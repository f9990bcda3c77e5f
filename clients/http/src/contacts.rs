//! Contacts.

use crate::daemon::Authorized;
use crate::problem::Problem;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use m2_proto::api::v1::{Contact, GetContactRequest, ListContactsRequest, ListContactsResponse};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Page {
    after: String,
}

pub(crate) async fn list(
    Authorized(client): Authorized,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<ListContactsResponse>, Problem> {
    let Query(page) = page?;
    let request = ListContactsRequest {
        after: page.after,
        ..ListContactsRequest::default()
    };
    let answer = client.contacts().list_contacts(request).await?;
    Ok(Json(answer.into_inner()))
}

pub(crate) async fn show(
    Authorized(client): Authorized,
    Path(contact): Path<String>,
) -> Result<Json<Contact>, Problem> {
    let request = GetContactRequest { contact };
    let answer = client.contacts().get_contact(request).await?.into_inner();
    Ok(Json(answer.contact.unwrap_or_default()))
}
