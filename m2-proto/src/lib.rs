#![doc = include_str!("../README.md")]
//!
//! ## Modules
//!
//! | module | content |
//! | --- | --- |
//! | [`api`] | `m2.api.v1`: messages, service clients and servers, proto3 JSON by serde |
//! | [`wire`] | `m2.wire.v1`: the messages that two daemons exchange in a session |
//! | [`client`] | one channel over the daemon's local socket, with one client for each service |
//! | [`reason`] | the stable reasons of errors, as `google.rpc.ErrorInfo` |
//! | [`socket`] | the places of the daemon's socket |
//! | [`terminal`] | input without echo, for passphrases |
//! | [`token`] | access tokens, as front-ends show them |
//! | [`limits`] | limits of the API, shared by both sides |
//! | [`wkt`] | timestamps |

pub mod client;
pub mod limits;
pub mod reason;
pub mod socket;
pub mod terminal;
pub mod token;
pub mod wkt;

/// `m2.api.v1`: the API that the daemon offers to front-ends over its local socket.
pub mod api {
    /// Version 1.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        unreachable_pub,
        unused_qualifications
    )]
    pub mod v1 {
        tonic::include_proto!("m2.api.v1");
        include!(concat!(env!("OUT_DIR"), "/m2.api.v1.serde.rs"));
    }
}

/// `m2.wire.v1`: the messages that two daemons exchange inside a session.
pub mod wire {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
    pub mod v1 {
        tonic::include_proto!("m2.wire.v1");
    }
}

/// The encoded `FileDescriptorSet` of all contracts with their comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/m2_descriptor.bin"));

impl std::fmt::Debug for api::v1::CreateBackupRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateBackupRequest")
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for api::v1::CreateTokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateTokenResponse")
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for api::v1::UnlockRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnlockRequest").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for wire::v1::Deposit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deposit").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for wire::v1::OfferedBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfferedBox").finish_non_exhaustive()
    }
}
