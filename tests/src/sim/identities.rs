//! The committed test identities, parsed once.

use m2_crypto::{Circle, Identity, PeerId, provider};
use std::path::PathBuf;
use std::sync::LazyLock;

/// An identity and its id in the public circle.
#[derive(Debug)]
pub struct Identified {
    /// The key pair.
    pub identity: Identity,
    /// The identity's peer id in the public circle.
    pub id: PeerId,
}

/// The first peer.
pub static ALICE: LazyLock<Identified> = LazyLock::new(|| identity("alice"));
/// The second peer.
pub static BOB: LazyLock<Identified> = LazyLock::new(|| identity("bob"));
/// A third party.
pub static CAROL: LazyLock<Identified> = LazyLock::new(|| identity("carol"));

/// Reads `tests/vectors/identities/<name>.pem`.
pub fn identity(name: &str) -> Identified {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "vectors",
        "identities",
        &format!("{name}.pem"),
    ]
    .iter()
    .collect();
    let pem = std::fs::read_to_string(path).expect("the test identities are in the repository");
    let identity = Identity::from_pem(&pem, None, provider::default())
        .expect("the test identities are valid keys");
    let id = identity.peer_id(Circle::public().id());
    Identified { identity, id }
}
