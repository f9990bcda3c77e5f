//! The daemon under a service manager: a real systemd with the units that ship, and the parts of its
//! protocol that need no systemd.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod backup;
mod bot;
mod credentials;
mod failure;
mod instances;
mod life;
mod machine;
mod notify;
mod passed;
mod reload;
mod watchdog;
