//! Real daemons under test: builds them, starts them, uses them through their public interfaces,
//! and kills them.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use m2_harness::harness::{Daemon, Setup};
//!
//! let mut alice = Daemon::start(Setup::new().identity("alice")).await?;
//! let invitation = alice.m2(&["--json", "invite", "create"]).await?;
//! println!("{}", invitation.stdout);
//! alice.kill9().await?;
//! alice.restart().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Where a test controls the network between two daemons, a [`Wire`] sits between them.

mod binaries;
mod clock;
mod daemon;
mod lab;
mod nats;
mod remote_socket;
mod setup;
mod wire;

pub use binaries::Binaries;
pub use clock::Clock;
pub use daemon::{Daemon, Output};
pub use lab::Lab;
pub use nats::NatsCluster;
pub use remote_socket::{RemoteSocket, serve_socket};
pub use setup::Setup;
pub use wire::{Captured, Direction, Fate, Wire};
