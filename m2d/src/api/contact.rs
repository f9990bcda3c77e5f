//! `ContactService`.

use super::convert;
use super::session::{ApiState, Ready};
use crate::engine::{ContactView, PolicyChange};
use crate::store::ContactState;
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::contact_service_server::ContactService;
use std::collections::HashMap;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Contacts.
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
            .call(move |engine| engine.add_contact(&invitation, &name))
            .await?;
        let contact = Some(show(ready, view).await?);
        Ok(Response::new(pb::AddContactResponse { contact }))
    }

    async fn list_contacts(
        &self,
        request: Request<pb::ListContactsRequest>,
    ) -> Result<Response<pb::ListContactsResponse>, Status> {
        let ready = self.0.ready()?;
        let state = wanted_state(convert::known("state", request.into_inner().state)?);
        let views = ready
            .engine
            .read(move |engine| engine.list_contacts(state))
            .await?;
        let queued: HashMap<i64, u64> = queued(ready).await?;
        let contacts = views.into_iter().map(|view| {
            let count = queued.get(&view.row.row).copied().unwrap_or(0);
            convert::contact(view, count)
        });
        Ok(Response::new(pb::ListContactsResponse {
            contacts: contacts.collect(),
        }))
    }

    async fn get_contact(
        &self,
        request: Request<pb::GetContactRequest>,
    ) -> Result<Response<pb::GetContactResponse>, Status> {
        let ready = self.0.ready()?;
        let name = request.into_inner().contact;
        let view = ready
            .engine
            .read(move |engine| engine.get_contact(&name))
            .await?;
        let contact = Some(show(ready, view).await?);
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
            .call(move |engine| engine.rename_contact(&contact, &name))
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
            .call(move |engine| engine.accept_contact(&contact, &name))
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
            .call(move |engine| engine.decline_contact(&name))
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
            .call(move |engine| engine.block_contact(&name))
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
            .call(move |engine| engine.remove_contact(&contact, history))
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
            .call(move |engine| engine.verify_contact(&contact, matched))
            .await?;
        Ok(Response::new(pb::VerifyContactResponse { code, verified }))
    }

    async fn set_contact_policy(
        &self,
        request: Request<pb::SetContactPolicyRequest>,
    ) -> Result<Response<pb::SetContactPolicyResponse>, Status> {
        let ready = self.0.ready()?;
        let request = request.into_inner();
        let ip: Option<pb::IpMode> = match request.ip {
            Some(mode) => Some(convert::known("ip", mode)?),
            None => None,
        };
        let change = PolicyChange {
            mailbox_grant: request.mailbox_grant,
            mailbox_use: request.mailbox_use,
            ip: ip.map(convert::parse_ip_mode),
        };
        let view = ready
            .engine
            .call(move |engine| engine.set_policy(&request.contact, change))
            .await?;
        let contact = Some(show(ready, view).await?);
        Ok(Response::new(pb::SetContactPolicyResponse { contact }))
    }
}

async fn show(ready: &Ready, view: ContactView) -> Result<pb::Contact, Status> {
    let count = queued(ready).await?.get(&view.row.row).copied();
    Ok(convert::contact(view, count.unwrap_or(0)))
}

async fn queued(ready: &Ready) -> Result<HashMap<i64, u64>, Status> {
    let counts = ready.readers.read(|reader| reader.queued()).await?;
    Ok(counts.into_iter().collect())
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
