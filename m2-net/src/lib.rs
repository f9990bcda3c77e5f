//! M2's sessions between daemons: the only place with sockets.
//!
//! Sections (`§`) in comments are those of `docs/spec/`.

mod address_token;
pub mod clock;
pub mod connection_id;
pub mod counters;
pub mod delivery;
pub mod frame;
pub mod gate;
pub mod key_pool;
pub mod quic_crypto;
pub mod replay;
pub mod replay_file;
pub mod session;
mod socket;
pub mod wire;
