//! The daemon of the M2 messenger. It owns keys, sockets and sessions, and serves front-ends on a
//! local gRPC socket. `docs/architecture.md` describes how the parts fit together.

pub mod api;
pub mod app;
pub mod args;
pub mod ask;
mod backoff;
pub mod backup;
pub mod check;
pub mod clock;
pub mod config;
pub mod counters;
pub mod doctor;
pub mod engine;
pub mod host;
pub mod key_file;
pub mod lines;
pub mod listen;
pub mod lock;
pub mod log;
pub mod lookup;
pub mod mailbox;
pub mod network;
mod pace;
pub mod pair;
pub mod paths;
pub mod ports;
pub mod reach;
pub mod refusal;
mod sqlcipher;
pub mod store;
pub mod tasks;
pub mod unlock;
