//! M2's sessions between daemons: the only crate with sockets. Comments refer to the specification
//! in `docs/spec/`.

mod acceptor;
pub mod allow_list;
pub mod callers;
mod canary;
pub mod clock;
pub mod connection_id;
pub mod counters;
mod cover;
mod crossing;
pub mod delivery;
pub mod dial_error;
pub mod endpoint;
pub mod frame;
pub mod gate;
pub mod key_pool;
pub mod line;
pub mod lookup;
mod own_handshakes;
pub mod prefix;
mod prefix_limit;
pub mod quic_crypto;
pub mod replay;
pub mod replay_file;
mod replay_memory;
mod reset_key;
mod retry_token;
pub mod sent;
pub mod session;
pub mod shares;
mod socket;
pub mod token_bucket;
mod transport;
pub mod wire;
