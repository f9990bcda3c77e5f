//! `m2 contact`

mod human;
mod policy;
mod verify;

use clap::{Args, Subcommand, ValueEnum};
use m2_proto::api::v1::{
    AcceptContactRequest, AddContactRequest, BlockContactRequest, Contact, ContactState,
    DeclineContactRequest, GetContactRequest, RemoveContactRequest, RenameContactRequest,
};
use m2_proto::client::Client;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::{fetch, input, sanitize};

/// The flags of `m2 contact`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "CONTACT is a name, a peer id, or at least its first 10 characters."
)]
pub struct ContactArgs {
    #[command(subcommand)]
    command: ContactCommand,
}

#[derive(Debug, Subcommand)]
enum ContactCommand {
    /// Add the peer that made an invitation as a contact
    Add {
        /// The invitation, m2://…; read from stdin if it is `-` or omitted
        invite: Option<String>,
        /// The local name of the contact
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
    },
    /// List contacts, and peers that may become contacts
    List {
        /// List only those in this state
        #[arg(long, value_enum)]
        state: Option<StateArg>,
    },
    /// Show all details of a contact
    Show(One),
    /// List the peers that ask to become contacts
    Requests,
    /// Accept a peer's request
    Accept {
        #[command(flatten)]
        one: One,
        /// The local name of the contact
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
    },
    /// Decline a peer's request; it may ask again
    Decline(One),
    /// Block a peer: it gets no answer and can't ask again. `m2 contact remove` unblocks it
    Block(One),
    /// Remove a contact and the messages that wait for it
    Remove {
        #[command(flatten)]
        one: One,
        /// Delete the conversation's messages too
        #[arg(long)]
        history: bool,
    },
    /// Show or set the policy for a contact: mailboxes, ways of sessions, retention
    Policy(policy::PolicyArgs),
    /// Compare the verification code by voice
    Verify(verify::VerifyArgs),
    /// Change the local name of a contact
    Rename {
        #[command(flatten)]
        one: One,
        /// The new name
        name: String,
    },
}

#[derive(Debug, Args)]
struct One {
    /// Name, peer id, or at least the first 10 characters of the peer id
    contact: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateArg {
    Contact,
    Asked,
    Request,
    Blocked,
    Declined,
}

pub(crate) async fn run(args: ContactArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    match args.command {
        ContactCommand::Add { invite, name } => add(invite, name, &client, context).await,
        ContactCommand::List { state } => list(state, &client, context).await,
        ContactCommand::Show(one) => show(one, &client, context).await,
        ContactCommand::Requests => requests(&client, context).await,
        ContactCommand::Accept { one, name } => accept(one, name, &client, context).await,
        ContactCommand::Decline(one) => decline(one, &client, context).await,
        ContactCommand::Block(one) => block(one, &client, context).await,
        ContactCommand::Remove { one, history } => remove(one, history, &client, context).await,
        ContactCommand::Policy(args) => policy::run(args, &client, context).await,
        ContactCommand::Verify(args) => verify::run(args, &client, context).await,
        ContactCommand::Rename { one, name } => rename(one, name, &client, context).await,
    }
}

async fn add(
    invitation: Option<String>,
    name: String,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    let invitation = input::invitation(invitation)?;
    let request = AddContactRequest { invitation, name };
    let answer = call(client.contacts().add_contact(request)).await?;
    let contact = present(answer.contact)?;
    context.out.show(&contact, |_| {
        let name = sanitize::line(&contact.name);
        match contact.state() {
            ContactState::Contact => format!("{name} is a contact."),
            _ => format!("Asked {name}. `m2 contact show {name}` shows whether it has answered."),
        }
    })
}

async fn list(state: Option<StateArg>, client: &Client, context: &Context) -> Result<(), Failure> {
    let state = state.map_or(ContactState::Unspecified, ContactState::from);
    let contacts = fetch::contacts(state, client).await?;
    if context.out.is_json() {
        return contacts.iter().try_for_each(|c| context.out.json(c));
    }
    if contacts.is_empty() {
        context
            .out
            .note("No contacts. Invite one with `m2 invite create`.");
        return Ok(());
    }
    context.out.text(&human::list(&context.out, &contacts))
}

async fn requests(client: &Client, context: &Context) -> Result<(), Failure> {
    let contacts = fetch::contacts(ContactState::Request, client).await?;
    if context.out.is_json() {
        return contacts.iter().try_for_each(|c| context.out.json(c));
    }
    if contacts.is_empty() {
        context.out.note("No peer asks to become a contact.");
        return Ok(());
    }
    context
        .out
        .text(&human::requests(&context.out, &contacts))?;
    context
        .out
        .note("Answer with `m2 contact accept`, `decline` or `block`.");
    Ok(())
}

async fn show(one: One, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = GetContactRequest {
        contact: one.contact,
    };
    let answer = call(client.contacts().get_contact(request)).await?;
    let contact = present(answer.contact)?;
    context.out.show(&contact, |out| human::show(out, &contact))
}

async fn accept(one: One, name: String, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = AcceptContactRequest {
        contact: one.contact,
        name,
    };
    let answer = call(client.contacts().accept_contact(request)).await?;
    let contact = present(answer.contact)?;
    context.out.show(&contact, |_| {
        format!("{} is a contact.", sanitize::line(&contact.name))
    })
}

async fn decline(one: One, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = DeclineContactRequest {
        contact: one.contact,
    };
    let answer = call(client.contacts().decline_contact(request)).await?;
    context.out.show(&answer, |_| "Declined.".to_owned())
}

async fn block(one: One, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = BlockContactRequest {
        contact: one.contact,
    };
    let answer = call(client.contacts().block_contact(request)).await?;
    context.out.show(&answer, |_| "Blocked.".to_owned())
}

async fn remove(
    one: One,
    history: bool,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    let request = RemoveContactRequest {
        contact: one.contact,
        history,
    };
    let answer = call(client.contacts().remove_contact(request)).await?;
    context.out.show(&answer, |_| "Removed.".to_owned())
}

async fn rename(one: One, name: String, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = RenameContactRequest {
        contact: one.contact,
        name,
    };
    let answer = call(client.contacts().rename_contact(request)).await?;
    let contact = present(answer.contact)?;
    context.out.show(&contact, |_| {
        format!("Now called {}.", sanitize::line(&contact.name))
    })
}

fn present(contact: Option<Contact>) -> Result<Contact, Failure> {
    contact.ok_or_else(|| Failure::Local("The daemon's answer holds no contact.".to_owned()))
}

impl From<StateArg> for ContactState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Contact => Self::Contact,
            StateArg::Asked => Self::Asked,
            StateArg::Request => Self::Request,
            StateArg::Blocked => Self::Blocked,
            StateArg::Declined => Self::Declined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::contact_state;

    #[test]
    fn states_are_shown_under_the_names_that_users_type() {
        for state in StateArg::value_variants() {
            let typed = state.to_possible_value().map(|v| v.get_name().to_owned());
            let shown = contact_state(ContactState::from(*state).into());
            assert_eq!(typed, Some(shown));
        }
    }
}
