//! A provider: deposits, collection, many letters, a purge, a cold session.

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

/// Length in bytes of a letter: the smallest possible size.
const LETTER: usize = 4_096;
/// Number of concurrent sessions that deposit.
const SESSIONS: usize = 4;
/// Unanswered deposits per session: the most that a provider allows.
const AHEAD: usize = 64;
