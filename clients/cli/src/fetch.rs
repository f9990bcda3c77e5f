//! Fetches lists that the daemon returns page by page.

use m2_proto::api::v1::{Contact, ContactState, ListContactsRequest};
use m2_proto::client::Client;

use crate::context::call;
use crate::failure::Failure;

/// Fetches all contacts in a state, page by page.
pub(crate) async fn contacts(
    state: ContactState,
    client: &Client,
) -> Result<Vec<Contact>, Failure> {
    let mut contacts = Vec::new();
    let mut after = String::new();
    loop {
        let request = ListContactsRequest {
            state: state.into(),
            after,
        };
        let page = call(client.contacts().list_contacts(request)).await?;
        contacts.extend(page.contacts);
        if page.next.is_empty() {
            return Ok(contacts);
        }
        after = page.next;
    }
}
