//! What both halves of a conversation share.

use super::counters::Counters;
use super::limits::Limits;
use super::queue::Output;

/// Limits, output and counters: shared by the functions of both halves.
pub(super) struct Tools<'a> {
    pub(super) limits: &'a Limits,
    pub(super) out: &'a mut Output,
    pub(super) counters: &'a mut Counters,
}
