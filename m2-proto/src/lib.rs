//! M2's protobuf contracts: what front-ends call ([`api`]) and what peers say in a session
//! ([`wire`]).

/// `m2.api.v1`: the API that front-ends call over the daemon's local socket.
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

/// `m2.wire.v1`: what two daemons say to each other inside a session.
pub mod wire {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
    pub mod v1 {
        tonic::include_proto!("m2.wire.v1");
    }
}

/// The encoded `FileDescriptorSet` of all contracts, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/m2_descriptor.bin"));
