//! The mailbox role: keeping sealed letters for peers that are not online (spec §9).

pub mod store;
