//! `ContactService`.

use super::convert;
use super::permits;
use super::session::{ApiState, Ready};
use crate::access::Caller;
use m2_core::ContactState;
use m2_core::access::{Scope, Scopes};
use m2_engine::Refusal;
use m2_engine::{ContactRequest, ContactView, PolicyChange, Query};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::contact_service_server::ContactService;
use m2_store::{ContactRowId, Usage};
use std::collections::HashMap;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The maximum number of contacts in one page, which keeps it well below 1 MiB.
const PAGE: usize = 500;
const HOUR_MS: u64 = 3_600_000;
/// The maximum retention: 100 years.
const MAX_KEEP_MS: u64 = 36_500 * 24 * HOUR_MS;

/// The implementation of the service.
pub(super) struct ContactApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl ContactService for ContactApi {
    async fn add_contact(
        &self,
        request: Request<pb::AddContactRequest>,
    ) -> Result<Response<pb::AddContactResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::AddContactRequest { invitation, name } = request.into_inner();
        let view = ready
            .engine
            .call(|reply| ContactRequest::Add {
                invitation,
                name,
                reply,
            })
            .await?;
        let contact = Some(show(ready, view).await?);
        Ok(Response::new(pb::AddContactResponse { contact }))
    }

    async fn list_contacts(
        &self,
        request: Request<pb::ListContactsRequest>,
    ) -> Result<Response<pb::ListContactsResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let state = wanted_state(convert::known("state", request.state)?);
        let hold = ready.readers.pages.begin().await?;
        let (views, next) = page(ready, &caller, state, request.after).await?;
        let contacts = show_all(ready, &caller, views).await?;
        Ok(hold.answer(pb::ListContactsResponse { contacts, next }))
    }

    async fn get_contact(
        &self,
        request: Request<pb::GetContactRequest>,
    ) -> Result<Response<pb::GetContactResponse>, Status> {
        let ready = self.0.ready()?;
        let caller = Caller::of(&request)?;
        let name = permits::contact(ready, &caller, request.into_inner().contact).await?;
        let view = ready
            .engine
            .read(|reply| Query::Contact(name, reply))
            .await?;
        let mut contact = show(ready, view).await?;
        hide_addresses(&caller, &mut contact);
        let contact = Some(contact);
        Ok(Response::new(pb::GetContactResponse { contact }))
    }

    async fn rename_contact(
        &self,
        request: Request<pb::RenameContactRequest>,
    ) -> Result<Response<pb::RenameContactResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::RenameContactRequest { contact, name } = request.into_inner();
        let view = ready
            .engine
            .call(|reply| ContactRequest::Rename {
                contact,
                name,
                reply,
            })
            .await?;
        let contact = Some(show(ready, view).await?);
        Ok(Response::new(pb::RenameContactResponse { contact }))
    }

    async fn accept_contact(
        &self,
        request: Request<pb::AcceptContactRequest>,
    ) -> Result<Response<pb::AcceptContactResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::AcceptContactRequest { contact, name } = request.into_inner();
        let view = ready
            .engine
            .call(|reply| ContactRequest::Accept {
                contact,
                name,
                reply,
            })
            .await?;
        let contact = Some(show(ready, view).await?);
        Ok(Response::new(pb::AcceptContactResponse { contact }))
    }

    async fn decline_contact(
        &self,
        request: Request<pb::DeclineContactRequest>,
    ) -> Result<Response<pb::DeclineContactResponse>, Status> {
        let name = request.into_inner().contact;
        let engine = &self.0.ready()?.engine;
        engine
            .call(|reply| ContactRequest::Decline(name, reply))
            .await?;
        Ok(Response::new(pb::DeclineContactResponse {}))
    }

    async fn block_contact(
        &self,
        request: Request<pb::BlockContactRequest>,
    ) -> Result<Response<pb::BlockContactResponse>, Status> {
        let name = request.into_inner().contact;
        let engine = &self.0.ready()?.engine;
        engine
            .call(|reply| ContactRequest::Block(name, reply))
            .await?;
        Ok(Response::new(pb::BlockContactResponse {}))
    }

    async fn remove_contact(
        &self,
        request: Request<pb::RemoveContactRequest>,
    ) -> Result<Response<pb::RemoveContactResponse>, Status> {
        let pb::RemoveContactRequest { contact, history } = request.into_inner();
        let engine = &self.0.ready()?.engine;
        engine
            .call(|reply| ContactRequest::Remove {
                contact,
                history,
                reply,
            })
            .await?;
        Ok(Response::new(pb::RemoveContactResponse {}))
    }

    async fn verify_contact(
        &self,
        request: Request<pb::VerifyContactRequest>,
    ) -> Result<Response<pb::VerifyContactResponse>, Status> {
        let pb::VerifyContactRequest { contact, matched } = request.into_inner();
        let engine = &self.0.ready()?.engine;
        let (code, verified) = engine
            .call(|reply| ContactRequest::Verify {
                contact,
                matched,
                reply,
            })
            .await?;
        Ok(Response::new(pb::VerifyContactResponse { code, verified }))
    }

    async fn set_contact_policy(
        &self,
        request: Request<pb::SetContactPolicyRequest>,
    ) -> Result<Response<pb::SetContactPolicyResponse>, Status> {
        let ready = self.0.ready()?;
        let request = request.into_inner();
        let change = policy_change(&request)?;
        let view = ready
            .engine
            .call(|reply| ContactRequest::SetPolicy {
                contact: request.contact,
                change,
                reply,
            })
            .await?;
        let contact = Some(show(ready, view).await?);
        Ok(Response::new(pb::SetContactPolicyResponse { contact }))
    }
}

/// Returns a page of the contacts that the caller reaches, and the name after which the next one begins. A
/// caller whose token is limited gets all in one page: a name between pages could be that of another contact.
async fn page(
    ready: &Ready,
    caller: &Caller,
    state: Option<ContactState>,
    mut after: String,
) -> Result<(Vec<ContactView>, String), Refusal> {
    let mut page = Vec::new();
    loop {
        let (views, has_more) = ready
            .engine
            .read(|reply| Query::Contacts {
                state,
                after,
                limit: PAGE,
                reply,
            })
            .await?;
        let last = views.last().filter(|_| has_more);
        after = last.map(|view| view.row.name.clone()).unwrap_or_default();
        let reached = views.into_iter();
        page.extend(reached.filter(|view| caller.reaches(&view.row.peer_id)));
        if after.is_empty() || !caller.is_limited() {
            return Ok((page, after));
        }
    }
}

fn policy_change(request: &pb::SetContactPolicyRequest) -> Result<PolicyChange, Refusal> {
    let ip: Option<pb::IpMode> = request
        .ip
        .map(|mode| convert::known("ip", mode))
        .transpose()?;
    Ok(PolicyChange {
        mailbox_grant: request.mailbox_grant,
        mailbox_use: request.mailbox_use,
        ip: ip.map(convert::parse_ip_mode),
        keep_s: request.keep.as_ref().map(keep_seconds).transpose()?,
    })
}

/// Parses a retention period. Returns whole seconds, 0 for the profile's setting.
fn keep_seconds(keep: &pbjson_types::Duration) -> Result<u64, Refusal> {
    if keep.seconds == 0 && keep.nanos == 0 {
        return Ok(0);
    }
    let ms = convert::duration_ms(keep, HOUR_MS, MAX_KEEP_MS, "keep", "1 hour to 36,500 days")?;
    Ok(ms / 1_000)
}

async fn show(ready: &Ready, view: ContactView) -> Result<pb::Contact, Status> {
    let row = view.row.row;
    let usage = ready.readers.read(move |reader| reader.usage_of(row));
    Ok(convert::contact(view, usage.await?))
}

/// Removes a contact's addresses, unless the caller manages contacts.
fn hide_addresses(caller: &Caller, contact: &mut pb::Contact) {
    const MANAGES: Scopes = Scopes::of(&[Scope::Contacts]);
    if caller
        .grant()
        .is_some_and(|grant| !grant.scopes().permit(MANAGES))
    {
        contact.addresses.clear();
    }
}

async fn show_all(
    ready: &Ready,
    caller: &Caller,
    views: Vec<ContactView>,
) -> Result<Vec<pb::Contact>, Refusal> {
    let usage = ready.readers.read(|reader| reader.usage()).await?;
    let usage: HashMap<ContactRowId, Usage> = usage.into_iter().collect();
    let contacts = views.into_iter().map(|view| {
        let usage = usage.get(&view.row.row).copied().unwrap_or_default();
        let mut contact = convert::contact(view, usage);
        hide_addresses(caller, &mut contact);
        contact
    });
    Ok(contacts.collect())
}

const fn wanted_state(state: pb::ContactState) -> Option<ContactState> {
    Some(match state {
        pb::ContactState::Unspecified => return None,
        pb::ContactState::Asked => ContactState::Asked,
        pb::ContactState::Request => ContactState::Request,
        pb::ContactState::Contact => ContactState::Contact,
        pb::ContactState::Blocked => ContactState::Blocked,
        pb::ContactState::Declined => ContactState::Declined,
    })
}
