//! Contacts: bob is a contact, carol has a pending request, every other peer is unknown.

use m2_proto::api::v1 as api;
use m2_proto::api::v1::contact_service_server::ContactService;
use m2_proto::reason::Reason;
use tonic::{Request, Response, Status};

use super::{BOB_ID, Services};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ContactService for Services {
    async fn add_contact(
        &self,
        request: Request<api::AddContactRequest>,
    ) -> Answer<api::AddContactResponse> {
        let request = request.into_inner();
        if !request.invitation.starts_with("m2://") {
            return Err(Reason::InvitationInvalid.into());
        }
        let contact = contact(&request.name, api::ContactState::Asked);
        Ok(Response::new(api::AddContactResponse {
            contact: Some(contact),
        }))
    }

    async fn list_contacts(
        &self,
        request: Request<api::ListContactsRequest>,
    ) -> Answer<api::ListContactsResponse> {
        let wanted = request.into_inner().state;
        let mut contacts = vec![
            contact("bob", api::ContactState::Contact),
            contact("carol\u{1b}[2J", api::ContactState::Request),
        ];
        contacts.retain(|contact| wanted == 0 || contact.state == wanted);
        Ok(Response::new(api::ListContactsResponse {
            contacts,
            ..Default::default()
        }))
    }

    async fn get_contact(
        &self,
        request: Request<api::GetContactRequest>,
    ) -> Answer<api::GetContactResponse> {
        known(&request.into_inner().contact)?;
        Ok(Response::new(api::GetContactResponse {
            contact: Some(contact("bob", api::ContactState::Contact)),
        }))
    }

    async fn rename_contact(
        &self,
        request: Request<api::RenameContactRequest>,
    ) -> Answer<api::RenameContactResponse> {
        let request = request.into_inner();
        known(&request.contact)?;
        Ok(Response::new(api::RenameContactResponse {
            contact: Some(contact(&request.name, api::ContactState::Contact)),
        }))
    }

    async fn accept_contact(
        &self,
        request: Request<api::AcceptContactRequest>,
    ) -> Answer<api::AcceptContactResponse> {
        let request = request.into_inner();
        if request.contact != "carol" {
            return Err(Reason::NoRequest.into());
        }
        Ok(Response::new(api::AcceptContactResponse {
            contact: Some(contact(&request.name, api::ContactState::Contact)),
        }))
    }

    async fn decline_contact(
        &self,
        _: Request<api::DeclineContactRequest>,
    ) -> Answer<api::DeclineContactResponse> {
        Ok(Response::new(api::DeclineContactResponse {}))
    }

    async fn block_contact(
        &self,
        _: Request<api::BlockContactRequest>,
    ) -> Answer<api::BlockContactResponse> {
        Ok(Response::new(api::BlockContactResponse {}))
    }

    async fn remove_contact(
        &self,
        _: Request<api::RemoveContactRequest>,
    ) -> Answer<api::RemoveContactResponse> {
        Ok(Response::new(api::RemoveContactResponse {}))
    }

    async fn verify_contact(
        &self,
        request: Request<api::VerifyContactRequest>,
    ) -> Answer<api::VerifyContactResponse> {
        let request = request.into_inner();
        let verified = request.matched.unwrap_or(false);
        self.0.lock().unwrap().verified = Some(request);
        Ok(Response::new(api::VerifyContactResponse {
            code: ["12345"; 12].join(" "),
            verified,
        }))
    }

    async fn set_contact_policy(
        &self,
        request: Request<api::SetContactPolicyRequest>,
    ) -> Answer<api::SetContactPolicyResponse> {
        let request = request.into_inner();
        known(&request.contact)?;
        let mut contact = contact("bob", api::ContactState::Contact);
        contact.policy = Some(api::ContactPolicy {
            mailbox_grant: request.mailbox_grant.unwrap_or(false),
            mailbox_use: request.mailbox_use.unwrap_or(false),
            ip: request.ip.unwrap_or_default(),
            keep: request.keep,
        });
        Ok(Response::new(api::SetContactPolicyResponse {
            contact: Some(contact),
        }))
    }
}

/// Returns an error for the name `nobody`.
pub(super) fn known(name: &str) -> Result<(), Status> {
    if name == "nobody" {
        return Err(Reason::ContactUnknown.into());
    }
    Ok(())
}

fn contact(name: &str, state: api::ContactState) -> api::Contact {
    let peer_id = if state == api::ContactState::Request {
        "m2carol0000000000000"
    } else {
        BOB_ID
    };
    api::Contact {
        peer_id: peer_id.to_owned(),
        name: name.to_owned(),
        state: state.into(),
        ..Default::default()
    }
}
