//! gRPC clients of other languages: every form of `:authority`, both versions of reflection, Python.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod http2;
mod python;

use http2::{Connection, literal, named};
use m2_proto::api::v1::GetStatusResponse;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::Api;
use prost::Message as _;
use tonic_reflection::pb::{v1, v1alpha};

/// `:authority` in Huffman code.
const HUFFMAN_NAME: &[u8] = b"\xb8\x3b\x53\x39\xec\x32\x7d\x7f";

#[tokio::test]
async fn every_form_of_authority_is_accepted() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let path = daemon.socket().to_str().unwrap().to_owned();
    let encoded = path.replace('/', "%2F");
    let fields: [Vec<u8>; 8] = [
        // The socket's path as grpcurl and Java send it and as Python and C++ send it, in each literal
        // form.
        literal(0x41, path.as_bytes()),
        literal(0x41, encoded.as_bytes()),
        literal(0x01, encoded.as_bytes()),
        literal(0x11, encoded.as_bytes()),
        named(b":authority", false, encoded.as_bytes()),
        named(HUFFMAN_NAME, true, path.as_bytes()),
        // The empty authority of the static table, and an ordinary one.
        vec![0x81],
        literal(0x41, b"localhost"),
    ];
    for field in fields {
        let mut connection = Connection::open(&daemon.socket()).await;
        // The second request refers to the entry that the first one left in the dynamic table.
        for stream in [1, 3] {
            let status = match (stream, field[0]) {
                (3, 0x41) => connection.call(stream, &[0xbe]).await,
                _ => connection.call(stream, &field).await,
            };
            let status = status.unwrap_or_else(|error| panic!("{field:x?}: {error}"));
            let status = GetStatusResponse::decode(status.as_slice()).unwrap();
            assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
        }
    }
}

#[tokio::test]
async fn a_header_block_in_several_frames_is_accepted() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let mut connection = Connection::open(&daemon.socket()).await;
    let field = literal(0x41, b"%2Frun%2Fm2d.sock");
    let status = connection.call_in_pieces(1, &field).await.unwrap();
    let status = GetStatusResponse::decode(status.as_slice()).unwrap();
    assert!(status.peer_id.starts_with("m2"));
    // An invalid request is still refused: it has no method.
    let refused = connection.call_without_method(3).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn reflection_serves_both_versions() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let channel = Api::of(&daemon).await.unwrap().client().channel();
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request));
    let answer = answers.await.unwrap().into_inner().message().await.unwrap();
    let services = match answer.unwrap().message_response.unwrap() {
        v1::server_reflection_response::MessageResponse::ListServicesResponse(list) => list.service,
        other => panic!("{other:?}"),
    };
    let newer: Vec<String> = services.into_iter().map(|service| service.name).collect();

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(request));
    let answer = answers.await.unwrap().into_inner().message().await.unwrap();
    let services = match answer.unwrap().message_response.unwrap() {
        v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list) => {
            list.service
        }
        other => panic!("{other:?}"),
    };
    let older: Vec<String> = services.into_iter().map(|service| service.name).collect();
    for name in ["m2.api.v1.MessageService", "grpc.health.v1.Health"] {
        assert!(newer.iter().any(|service| service == name), "{newer:?}");
        assert!(older.iter().any(|service| service == name), "{older:?}");
    }
}
