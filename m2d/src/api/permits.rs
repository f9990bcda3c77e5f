//! Checks which contacts a request is about, for callers with a token.

use super::session::Ready;
use crate::access::Caller;
use m2_engine::{Query, Refusal};
use m2_proto::reason::Reason;

/// Returns the text by which the engine finds the contact, once the caller may reach it. For a caller with a
/// token it is the peer id, so that a change of names in between changes nothing.
///
/// Errors: NOT_ALLOWED, TOKEN_INVALID; those of the resolution, unless they would tell a limited token which
/// contacts exist.
pub(super) async fn contact(
    ready: &Ready,
    caller: &Caller,
    text: String,
) -> Result<String, Refusal> {
    if caller.grant().is_none() {
        return Ok(text);
    }
    match ready.engine.read(|reply| Query::Contact(text, reply)).await {
        Ok(view) => {
            let peer = view.row.peer_id;
            caller.check_contact(Some(&peer))?;
            Ok(peer.to_string())
        }
        Err(refusal) => {
            caller.check_contact(None)?;
            Err(refusal)
        }
    }
}

/// Checks that the caller's token is not limited to contacts.
///
/// Errors: NOT_ALLOWED.
pub(super) fn all_contacts(caller: &Caller) -> Result<(), Refusal> {
    if caller.is_limited() {
        return Err(Refusal::because(
            Reason::NotAllowed,
            "Not allowed: the access token is limited to contacts. Name the contact in whose conversation to search.",
        ));
    }
    Ok(())
}

/// Checks that the caller reaches the contact of a message.
///
/// Errors: MESSAGE_UNKNOWN, as for a message that does not exist; TOKEN_INVALID.
pub(super) async fn message(ready: &Ready, caller: &Caller, id: [u8; 16]) -> Result<(), Refusal> {
    if caller.grant().is_none() {
        return Ok(());
    }
    let found = ready
        .readers
        .read(move |reader| reader.message(&id))
        .await?;
    let peer = found.map(|message| message.peer_id);
    caller
        .check_contact(peer.as_ref())
        .map_err(|refusal| match refusal.reason {
            Reason::NotAllowed => Refusal::new(Reason::MessageUnknown),
            _ => refusal,
        })
}

/// Checks that the name of a front-end belongs to the caller's token or is free, before a stream is opened
/// under it. The engine checks again.
///
/// Errors: NOT_ALLOWED.
pub(super) async fn client_name(ready: &Ready, caller: &Caller, name: &str) -> Result<(), Refusal> {
    if caller.grant().is_none() {
        return Ok(());
    }
    let name = name.to_owned();
    let owner = ready
        .readers
        .read(move |reader| reader.client_token(&name))
        .await?;
    match owner {
        Some(token) if token != caller.token() => Err(Refusal::because(
            Reason::NotAllowed,
            "Not allowed: the name of the front-end belongs to another one. Choose a name that no other \
             front-end uses.",
        )),
        _ => Ok(()),
    }
}
