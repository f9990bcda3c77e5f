//! Each call of the API under each scope. A call that is added to the API needs a line here.

use super::create;
use m2_proto::FILE_DESCRIPTOR_SET;
use m2_proto::api::v1::AccessScope;
use m2_proto::reason::Reason;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::Api;
use pbjson_types::Empty;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

const SCOPES: [AccessScope; 6] = [
    AccessScope::Events,
    AccessScope::Send,
    AccessScope::History,
    AccessScope::Contacts,
    AccessScope::Admin,
    AccessScope::Status,
];

/// The calls, and for each scope in the order of [`SCOPES`] whether it permits the call: `y` or `-`.
const DECISIONS: &str = "
    AccessService/CreateToken           ------
    AccessService/ListTokenUses         ------
    AccessService/ListTokens            ------
    AccessService/RevokeToken           ------
    BackupService/CreateBackup          ------
    BackupService/ReportBackup          ------
    ContactService/AcceptContact        ---yy-
    ContactService/AddContact           ---yy-
    ContactService/BlockContact         ---yy-
    ContactService/DeclineContact       ---yy-
    ContactService/GetContact           yyyyy-
    ContactService/ListContacts         yyyyy-
    ContactService/RemoveContact        ---yy-
    ContactService/RenameContact        ---yy-
    ContactService/SetContactPolicy     ---yy-
    ContactService/VerifyContact        ---yy-
    DaemonService/GetDiagnostics        ----y-
    DaemonService/GetStatus             ----yy
    DaemonService/Unlock                ------
    EventService/AcknowledgeEvents      y---y-
    EventService/ListClients            ----y-
    EventService/ListDeadLetters        y---y-
    EventService/NackEvent              y---y-
    EventService/RemoveClient           ----y-
    EventService/ReportClient           y---y-
    EventService/SettleDeadLetters      y---y-
    EventService/Subscribe              y---y-
    IdentityService/GetIdentity         ---yy-
    InvitationService/CreateInvitation  ---yy-
    InvitationService/ListInvitations   ---yy-
    InvitationService/RevokeInvitation  ---yy-
    LineService/AddLine                 ----y-
    LineService/ListLines               ----y-
    LineService/RemoveLine              ----y-
    MailboxService/CollectMailboxes     ----y-
    MailboxService/ListMailboxes        ----y-
    MailboxService/RegisterMailbox      ----y-
    MailboxService/RekeyMailbox         ----y-
    MailboxService/RemoveMailbox        ----y-
    MessageService/EditMessage          -y--y-
    MessageService/GetMessage           --y-y-
    MessageService/ListMessages         --y-y-
    MessageService/MarkRead             -y--y-
    MessageService/React                -y--y-
    MessageService/RetractMessage       -y--y-
    MessageService/SearchMessages       --y-y-
    MessageService/SendMessage          -y--y-
    MessageService/SendMessages         -y--y-
    MessageService/SetTyping            -y--y-
    MessageService/WatchMessage         -yy-y-
    NetworkService/Doctor               ----y-
    NetworkService/GetNetworkStatus     ----y-
    NetworkService/ProbeContact         ----y-
    RelayService/GetRelayStatus         ----y-
";

#[tokio::test]
async fn each_scope_permits_its_calls_and_no_other() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let calls = calls();
    let decided: Vec<&str> = decisions().iter().map(|(call, _)| *call).collect();
    assert_eq!(calls, decided, "a call without a decision, or the reverse");
    for (column, scope) in SCOPES.into_iter().enumerate() {
        let name = format!("token-{column}");
        let token = create(&api, &name, &[scope], &[]).await.unwrap();
        for (call, permits) in decisions() {
            let permitted = permits.as_bytes()[column] == b'y';
            let found = is_permitted(&api, call, &token).await;
            assert_eq!(found, permitted, "{call} with {scope:?}");
        }
    }
}

#[tokio::test]
async fn without_a_valid_token_no_call_is_permitted() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let token = create(&api, "bot", &[AccessScope::Admin], &[])
        .await
        .unwrap();
    let last = if token.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{last}", &token[..token.len() - 1]);
    for (call, _) in decisions() {
        for shown in [wrong.as_str(), "m2t_", "", &token[..30]] {
            let status = answer(&api, call, shown).await.unwrap_err();
            assert_eq!(Reason::of(&status), Some(Reason::TokenInvalid), "{call}");
        }
    }
    // Health and reflection tell nothing of the owner, but a token that is shown must be valid.
    let health = "/grpc.health.v1.Health/Check";
    let status = answer_at(&api, health, &wrong).await.unwrap_err();
    assert_eq!(Reason::of(&status), Some(Reason::TokenInvalid));
    assert!(answer_at(&api, health, &token).await.is_ok());
    let status = answer_at(&api, "/m2.api.v1.MessageService/Other", &token)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

/// Returns the calls of the API, sorted.
fn calls() -> Vec<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let api = set.file.iter().filter(|file| file.package() == "m2.api.v1");
    let mut calls: Vec<String> = api
        .flat_map(|file| &file.service)
        .flat_map(|service| {
            let methods = service.method.iter();
            methods.map(|method| format!("{}/{}", service.name(), method.name()))
        })
        .collect();
    calls.sort();
    calls
}

fn decisions() -> Vec<(&'static str, &'static str)> {
    let lines = DECISIONS.trim().lines();
    let split = lines.map(|line| line.trim().split_once(' ').unwrap());
    split
        .map(|(call, permits)| (call, permits.trim()))
        .collect()
}

async fn is_permitted(api: &Api, call: &str, token: &str) -> bool {
    match answer(api, call, token).await {
        Ok(()) => true,
        Err(status) => Reason::of(&status) != Some(Reason::NotAllowed),
    }
}

async fn answer(api: &Api, call: &str, token: &str) -> Result<(), Status> {
    answer_at(api, &format!("/m2.api.v1.{call}"), token).await
}

/// Makes a call with an empty message. Returns how its response begins.
async fn answer_at(api: &Api, path: &str, token: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(api.client().channel());
    grpc.ready().await.unwrap();
    let mut request = Request::new(Empty {});
    let shown = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", shown);
    let path: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<Empty, Empty>::default();
    grpc.server_streaming(request, path, codec).await.map(drop)
}
