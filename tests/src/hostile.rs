//! An attacker's tools: noise, analysis of captured traffic, and a peer that violates the protocol.

mod caller;
mod crowd;
mod echo;
mod noise;
mod skew;

pub use caller::{Caller, identity, places, public_id};
pub use crowd::crowd;
pub use echo::echoes;
pub use noise::{Noise, answers};
pub use skew::{Skew, repeated, skewed};
