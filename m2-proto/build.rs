//! Compiles the protobuf contracts without protoc: protox parses them, tonic and pbjson generate
//! code.

use prost::Message;
use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

const API: [&str; 12] = [
    "access",
    "backup",
    "daemon",
    "identity",
    "invitation",
    "contact",
    "message",
    "event",
    "mailbox",
    "line",
    "relay",
    "network",
];
const WIRE: [&str; 5] = ["frame", "line", "mailbox", "payload", "reach"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = API
        .iter()
        .map(|name| format!("m2/api/v1/{name}.proto"))
        .chain(WIRE.iter().map(|name| format!("m2/wire/v1/{name}.proto")));
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let descriptor_bytes = descriptors.encode_to_vec();
    fs::write(out.join("m2_descriptor.bin"), &descriptor_bytes)?;

    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .bytes(".m2.wire.v1")
        .btree_map(".m2.api.v1")
        // Keeps secrets out of logs that use `{:?}`.
        .skip_debug([
            "m2.api.v1.CreateBackupRequest",
            "m2.api.v1.CreateTokenResponse",
            "m2.api.v1.UnlockRequest",
            "m2.wire.v1.Deposit",
            "m2.wire.v1.OfferedBox",
        ])
        .extern_path(".google.protobuf", "::pbjson_types")
        // Its JSON form ends in `Z`, as the proto3 mapping requires; that of pbjson_types does not.
        .extern_path(".google.protobuf.Timestamp", "crate::wkt::Timestamp")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptor_bytes)?
        .btree_map([".m2.api.v1"])
        // Scripts find every field, also if it is false, zero or empty.
        .emit_fields()
        // A front-end can read the responses of a newer daemon.
        .ignore_unknown_fields()
        .build(&[".m2.api.v1"])?;
    Ok(())
}
