//! Which scope each call of the API asks for.

use super::{Scope, Scopes};

/// The permission that a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Every front-end that may connect; with a token, it must be valid.
    Connected,
    /// The owner alone, without a token.
    Owner,
    /// The owner, or a token with one of these scopes. A token that is limited to contacts reaches only
    /// those, which the service checks.
    Token(Scopes),
    /// As `Token`, but no token that is limited to contacts.
    UnlimitedToken(Scopes),
}

/// A call of the API.
#[derive(Debug)]
pub struct Call {
    /// The service and the method: `MessageService/SendMessage`.
    pub name: &'static str,
    /// The permission that it asks for.
    pub rule: Rule,
}

const EVENTS: Scopes = Scopes::of(&[Scope::Events]);
const SEND: Scopes = Scopes::of(&[Scope::Send]);
const HISTORY: Scopes = Scopes::of(&[Scope::History]);
const CONTACTS: Scopes = Scopes::of(&[Scope::Contacts]);
const ADMIN: Scopes = Scopes::of(&[Scope::Admin]);
const STATUS: Scopes = Scopes::of(&[Scope::Status]);
/// Every scope that has to do with contacts.
const ANY: Scopes = Scopes::of(&[Scope::Events, Scope::Send, Scope::History, Scope::Contacts]);

const fn call(name: &'static str, rule: Rule) -> Call {
    Call { name, rule }
}

/// All calls of `m2.api.v1`. A call that is not listed is refused.
pub const CALLS: &[Call] = &[
    call("AccessService/CreateToken", Rule::Owner),
    call("AccessService/ListTokenUses", Rule::Owner),
    call("AccessService/ListTokens", Rule::Owner),
    call("AccessService/RevokeToken", Rule::Owner),
    call("BackupService/CreateBackup", Rule::Owner),
    call("BackupService/ReportBackup", Rule::Owner),
    call(
        "ContactService/AcceptContact",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call("ContactService/AddContact", Rule::UnlimitedToken(CONTACTS)),
    call(
        "ContactService/BlockContact",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call(
        "ContactService/DeclineContact",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call("ContactService/GetContact", Rule::Token(ANY)),
    call("ContactService/ListContacts", Rule::Token(ANY)),
    call(
        "ContactService/RemoveContact",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call(
        "ContactService/RenameContact",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call(
        "ContactService/SetContactPolicy",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call(
        "ContactService/VerifyContact",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call("DaemonService/GetDiagnostics", Rule::UnlimitedToken(ADMIN)),
    call("DaemonService/GetStatus", Rule::UnlimitedToken(STATUS)),
    call("DaemonService/Unlock", Rule::Owner),
    call("EventService/AcknowledgeEvents", Rule::Token(EVENTS)),
    call("EventService/ListClients", Rule::UnlimitedToken(ADMIN)),
    call("EventService/ListDeadLetters", Rule::Token(EVENTS)),
    call("EventService/NackEvent", Rule::Token(EVENTS)),
    call("EventService/RemoveClient", Rule::UnlimitedToken(ADMIN)),
    call("EventService/ReportClient", Rule::Token(EVENTS)),
    call("EventService/SettleDeadLetters", Rule::Token(EVENTS)),
    call("EventService/Subscribe", Rule::Token(EVENTS)),
    call(
        "IdentityService/GetIdentity",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call(
        "InvitationService/CreateInvitation",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call(
        "InvitationService/ListInvitations",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call(
        "InvitationService/RevokeInvitation",
        Rule::UnlimitedToken(CONTACTS),
    ),
    call("LineService/AddLine", Rule::UnlimitedToken(ADMIN)),
    call("LineService/ListLines", Rule::UnlimitedToken(ADMIN)),
    call("LineService/RemoveLine", Rule::UnlimitedToken(ADMIN)),
    call(
        "MailboxService/CollectMailboxes",
        Rule::UnlimitedToken(ADMIN),
    ),
    call("MailboxService/ListMailboxes", Rule::UnlimitedToken(ADMIN)),
    call(
        "MailboxService/RegisterMailbox",
        Rule::UnlimitedToken(ADMIN),
    ),
    call("MailboxService/RekeyMailbox", Rule::UnlimitedToken(ADMIN)),
    call("MailboxService/RemoveMailbox", Rule::UnlimitedToken(ADMIN)),
    call("MessageService/EditMessage", Rule::Token(SEND)),
    call("MessageService/GetMessage", Rule::Token(HISTORY)),
    call("MessageService/ListMessages", Rule::Token(HISTORY)),
    call("MessageService/MarkRead", Rule::Token(SEND)),
    call("MessageService/React", Rule::Token(SEND)),
    call("MessageService/RetractMessage", Rule::Token(SEND)),
    call("MessageService/SearchMessages", Rule::Token(HISTORY)),
    call("MessageService/SendMessage", Rule::Token(SEND)),
    call("MessageService/SendMessages", Rule::Token(SEND)),
    call("MessageService/SetTyping", Rule::Token(SEND)),
    call(
        "MessageService/WatchMessage",
        Rule::Token(Scopes::of(&[Scope::Send, Scope::History])),
    ),
    call("NetworkService/Doctor", Rule::UnlimitedToken(ADMIN)),
    call(
        "NetworkService/GetNetworkStatus",
        Rule::UnlimitedToken(ADMIN),
    ),
    call("NetworkService/ProbeContact", Rule::UnlimitedToken(ADMIN)),
    call("RelayService/GetRelayStatus", Rule::UnlimitedToken(ADMIN)),
];

/// The services that are not M2's own: they tell the daemon's health and its calls.
const PUBLIC: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];
const PACKAGE: &str = "/m2.api.v1.";
/// A call of one of the public services.
static PUBLIC_CALL: Call = call("public", Rule::Connected);

impl Call {
    /// Returns the call with this path, as in HTTP/2: `/m2.api.v1.MessageService/SendMessage`. `None` if no
    /// call has it.
    #[must_use]
    pub fn of_path(path: &str) -> Option<&'static Self> {
        if PUBLIC.iter().any(|service| path.starts_with(service)) {
            return Some(&PUBLIC_CALL);
        }
        Self::named(path.strip_prefix(PACKAGE)?)
    }

    /// Returns the call with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let found = CALLS.binary_search_by(|call| call.name.cmp(name));
        CALLS.get(found.ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_call_is_found() {
        for call in CALLS {
            let path = format!("{PACKAGE}{}", call.name);
            let found = Call::of_path(&path).unwrap();
            assert_eq!(found.name, call.name);
        }
    }

    #[test]
    fn a_path_that_is_not_listed_has_no_rule() {
        for path in [
            "",
            "/",
            "/m2.api.v1.MessageService/",
            "/m2.api.v1.MessageService/SendMessage/",
            "/m2.api.v2.MessageService/SendMessage",
            "/grpc.health.v1.Healthy/Check",
            "MessageService/SendMessage",
        ] {
            assert!(Call::of_path(path).is_none(), "{path}");
        }
        let health = Call::of_path("/grpc.health.v1.Health/Check").unwrap();
        assert_eq!(health.rule, Rule::Connected);
    }

    #[test]
    fn a_call_that_changes_contacts_is_for_no_limited_token() {
        for call in CALLS {
            if let Rule::Token(scopes) = call.rule {
                let about_contacts = scopes.iter().any(Scope::is_about_contacts);
                assert!(about_contacts, "{}", call.name);
            }
        }
    }
}
