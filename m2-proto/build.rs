//! Compiles the protobuf contracts without protoc: protox parses them, tonic and pbjson
//! generate.

use prost::Message;
use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

const API: [&str; 6] = [
    "daemon",
    "identity",
    "invitation",
    "contact",
    "message",
    "event",
];
const WIRE: [&str; 2] = ["frame", "payload"];

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
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptor_bytes)?
        .build(&[".m2.api.v1"])?;
    Ok(())
}
