//! What a block needs that a machine may not have.

use super::block::Block;
use super::info::{Kind, Place};
use std::env;
use std::path::{Path, PathBuf};

/// Returns what is missing for a block, as a reason to skip it.
pub(super) fn missing(block: &Block, extra: &Path) -> Option<String> {
    let info = &block.info;
    let mut programs: Vec<&str> = info.needs.iter().map(String::as_str).collect();
    if info.artefacts.iter().any(|kind| kind == "deb") {
        programs.push("cargo-deb");
    }
    match (info.place, info.kind) {
        (Place::Systemd, _) => programs.push("systemctl"),
        (Place::Podman, _) => programs.push("podman"),
        (_, Kind::Unit) => programs.push("systemd-analyze"),
        (_, Kind::Node) => programs.push("node"),
        (_, Kind::Python) => programs.push("python3"),
        _ => {}
    }
    let program = programs.into_iter().find(|program| !is_installed(program));
    let module = match info.kind {
        Kind::Node => Some("node/node_modules/@grpc/grpc-js"),
        Kind::Python => Some("python/grpc"),
        _ => None,
    };
    let module = module.filter(|module| !extra.join(module).exists());
    program
        .map(|program| format!("{program} is not installed"))
        .or_else(|| module.map(|module| format!("target/pages/{module} is not installed")))
}

/// Returns whether a program is on the path, or in a directory that only root has there.
pub(super) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut directories = env::split_paths(&path).chain(further);
    directories.any(|directory| directory.join(program).is_file())
}
