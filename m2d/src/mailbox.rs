//! Mailboxes (docs/spec/mailbox.md): collecting letters from the daemon's own boxes, and depositing
//! letters into those of contacts. The crate m2-mailbox keeps letters for others.

mod collector;
mod depositor;
mod invitations;
mod opener;
mod owner_session;
mod tasks;
mod wake;

pub use collector::Collector;
pub use depositor::Depositor;
pub use opener::LetterOpener;
pub use tasks::MailTasks;
pub use wake::Wake;
