//! A daemon that is a mailbox: deposits, collection, many letters, a purge, a cold session.

mod cluster;
mod cold;
mod depositors;
mod loader;
mod many;
mod owner;
mod provider;
mod purge;
mod sessions;
mod tokens;

pub(super) use cluster::measure as cluster;
pub(super) use cold::measure as cold;
pub(super) use many::measure as many;
pub(super) use purge::measure as purge;
pub(super) use sessions::measure as sessions;

/// Bytes of a letter: the smallest size there is.
const LETTER: usize = 1_024;
/// Sessions that deposit at once.
const SESSIONS: usize = 4;
/// Deposits that each has under way: as many as a provider lets it have.
const AHEAD: usize = 64;
