#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod address;
pub mod backup;
pub mod certificate;
pub mod circle;
pub mod connection_id;
pub mod deposit;
pub mod envelope;
pub mod error;
pub mod handshake;
pub mod identity;
pub mod initial;
pub mod invitation;
mod invite_id;
pub mod kem;
pub mod label;
pub mod letter;
pub mod line;
pub mod obfuscation;
pub mod one_time_key;
pub mod packet;
pub mod peer_id;
pub mod presence;
pub mod provider;
mod reader;
pub mod secret;
pub mod session_key;
pub mod verification;
mod x25519;

pub use certificate::Certificate;
pub use circle::{Circle, CircleId};
pub use error::{KeyError, OpenFailed};
pub use identity::Identity;
pub use peer_id::PeerId;
pub use provider::Provider;
pub use secret::Secret;
