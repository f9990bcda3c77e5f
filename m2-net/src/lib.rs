#![doc = include_str!("../README.md")]

mod acceptor;
pub mod allow_list;
pub mod callers;
mod canary;
pub mod clock;
pub mod connection_id;
pub mod counters;
mod crossing;
mod decided;
pub mod dial_error;
mod ending;
pub mod endpoint;
pub mod frame;
pub mod gate;
pub mod key_pool;
mod limits;
pub mod line;
pub mod line_address;
mod own_handshakes;
pub mod quic_crypto;
pub mod race;
pub mod replay;
pub mod replay_file;
mod replay_memory;
mod reset_key;
mod retry_token;
pub mod sent;
pub mod session;
mod socket;
pub mod suites;
mod transport;

pub use m2_wire as wire;
