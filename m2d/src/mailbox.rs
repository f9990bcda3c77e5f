//! Mailboxes (spec §9): keeping sealed letters for peers that are not online, having boxes of
//! one's own, and depositing into those of contacts.

mod collector;
mod depositor;
mod opener;
mod owner_session;
mod tasks;
mod tokens;
mod wake;

pub mod server;
pub mod store;

pub use collector::Collector;
pub use depositor::Depositor;
pub use opener::LetterOpener;
pub use tasks::MailTasks;
pub use wake::Wake;
