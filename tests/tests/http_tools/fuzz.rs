//! Schemathesis over the OpenAPI document.

use crate::{run, told, tool};
use m2_proto::api::v1::{AccessScope, CreateTokenRequest};
use m2_tests::gateway::Gateway;
use m2_tests::scenario::Pair;
use m2_tests::workspace;

/// The variable with the number of examples for each operation.
const EXAMPLES: &str = "M2_HTTP_EXAMPLES";
/// As many as fit into half a minute.
const FEW: &str = "3";

#[tokio::test]
async fn the_gateway_keeps_to_its_document() {
    let Some(mut fuzzer) = tool("schemathesis") else {
        return;
    };
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let request = CreateTokenRequest {
        name: "fuzzer".to_owned(),
        scopes: [
            AccessScope::Events,
            AccessScope::Send,
            AccessScope::History,
            AccessScope::Contacts,
            AccessScope::Status,
        ]
        .map(i32::from)
        .to_vec(),
        ..Default::default()
    };
    let mut access = alice.client().access();
    let token = access.create_token(request).await.unwrap().into_inner();
    let message = alice.send("bob", "hello").await.unwrap();
    let examples = std::env::var(EXAMPLES).unwrap_or_else(|_| FEW.to_owned());
    let place = tempfile::tempdir().unwrap();
    fuzzer
        .arg("--config-file")
        .arg(
            workspace::root()
                .unwrap()
                .join("clients/http/schemathesis.toml"),
        )
        .args(["run", "--no-color", "--max-examples", &examples])
        .arg(gateway.url("/v1/openapi.json"))
        .current_dir(place.path())
        .env("M2_TOKEN", &token.token)
        .env("M2_CONTACT", "bob")
        .env("M2_MESSAGE", message);
    let run = run(&mut fuzzer).await;
    assert!(run.status.success(), "{}", told(&run));
    let healthy = gateway.request("GET /v1/health", &[], "").await;
    assert_eq!(healthy.status, 200, "{}", healthy.body);
}
