//! What the machine's clocks are worth (docs/operator/clocks.md).

mod opinion;
mod times;

pub use opinion::{Opinion, agrees, opinion};
pub use times::{Reading, Set, Times};
