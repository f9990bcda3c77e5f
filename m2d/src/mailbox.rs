//! Mailboxes (docs/spec/mailbox.md): keeping sealed letters for owners that are offline, collecting
//! from the daemon's own boxes, and depositing into those of contacts.

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
