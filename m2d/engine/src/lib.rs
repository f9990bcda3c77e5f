#![doc = include_str!("../README.md")]

mod call;
mod clients;
pub mod clock;
mod conflicts;
mod contact_paths;
mod contact_rows;
mod contact_view;
mod contacts;
mod conversation;
mod dialling;
mod effect;
mod engine;
mod erasing;
mod failure;
mod frames;
mod inbox;
mod input;
mod invitation_text;
mod invitations;
mod letters;
mod lines;
mod loading;
mod lookup;
mod mail;
mod mailboxes;
mod meeting;
mod near;
mod paths;
mod peer_requests;
mod places;
mod policy;

mod privacy_facts;
mod problem;
pub mod pseudonym;
mod reactions;
mod refusal;
mod relations;
mod release;
mod reply;
mod retention;
mod sending;
mod sessions;
mod settings;
mod state;
mod suites;
mod summary;
#[cfg(test)]
mod testing;
mod time;
mod upkeep;
mod wanted;

pub use clients::{StreamRequest, StreamStart};
pub use contact_paths::ContactPaths;
pub use contact_view::ContactView;
pub use contacts::ContactRequest;
pub use effect::{Effect, LiveEvent};
pub use engine::{Engine, Parts};
pub use failure::Failure;
pub use input::{Input, Query};
pub use invitations::{InvitationRequest, NewInvitation};
pub use letters::{DepositEnd, DepositJob, LetterInput};
pub use lines::{LineInput, LineView};
pub use lookup::{Discovery, FoundBy, LookupTarget, PresencePlan};
pub use mailboxes::{MailboxInput, MailboxView};
pub use near::Near;
pub use policy::PolicyChange;
pub use privacy_facts::PrivacyFacts;
pub use refusal::Refusal;
pub use reply::{Held, Reply};
pub use sending::{MessageRequest, NewMessage, SentMessage};
pub use sessions::{Arrived, GrantCheck, SessionEnd, SessionInput};
pub use settings::{LetterTimes, LineSettings, Settings};
pub use state::{BoxHealth, LineHealth, Session, is_sent_once};
pub use summary::Summary;
pub use wanted::{OpenAt, WantedBox, WantedLines};

use rand_core::UnwrapErr;

/// The operating system's random source, in the type that m2-crypto expects.
pub type Rng = UnwrapErr<getrandom::SysRng>;
