//! `m2 token`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use m2_proto::api::v1::{
    AccessScope, AccessToken, CreateTokenRequest, ListTokenUsesRequest, ListTokensRequest,
    RevokeTokenRequest, TokenUse,
};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::short_id;
use crate::output::Output;
use crate::{sanitize, table, time};

/// The flags of `m2 token`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "A front-end shows its token by M2_TOKEN_FILE, M2_TOKEN or --token-file, and then may do what \
                  the token permits and nothing else."
)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a token and print it; it is not shown again
    Create(CreateArgs),
    /// List the tokens, with what each permits
    List,
    /// Revoke a token; its open streams end at once
    Revoke {
        /// The token's name, from `m2 token list`
        name: String,
    },
    /// Show what tokens were used for in the last 90 days
    Uses(UsesArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The token's name: 1 to 64 characters of a-z 0-9 . _ -
    name: String,
    /// What it permits; several are separated by commas
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true)]
    scope: Vec<Scope>,
    /// Limit it to this contact; may be repeated
    #[arg(long = "contact", value_name = "CONTACT")]
    contacts: Vec<String>,
    /// How long it is valid: 1 minute to 3,650 days [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = time::parse_token_validity)]
    expires: Option<Duration>,
}

/// A scope of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// Receive and acknowledge events
    Events,
    /// Send, edit and retract messages, react, mark as read
    Send,
    /// Read and search messages
    History,
    /// Add, accept, rename, block and remove contacts, make invitations
    Contacts,
    /// Everything but unlocking, backups and tokens
    Admin,
    /// Read the daemon's status, which names no contact
    Status,
}

#[derive(Debug, Args)]
struct UsesArgs {
    /// Show only the uses of the token with this name
    name: Option<String>,
    /// The most entries, 1 to 1,000
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: u32,
}

pub(crate) async fn run(args: TokenArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        TokenCommand::Create(args) => create(args, context).await,
        TokenCommand::List => list(context).await,
        TokenCommand::Revoke { name } => revoke(name, context).await,
        TokenCommand::Uses(args) => uses(args, context).await,
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let scopes = args.scope.iter().map(|scope| scope.to_proto().into());
    let request = CreateTokenRequest {
        name: args.name,
        scopes: scopes.collect(),
        contacts: args.contacts,
        valid_for: args.expires.map(time::to_proto),
    };
    let answer = call(client.access().create_token(request)).await?;
    context
        .out
        .show(&answer, |_| sanitize::line(&answer.token))?;
    context.out.note(
        "Keep it like a password: write it to a file that only the front-end can read, and name the file by \
         M2_TOKEN_FILE.",
    );
    Ok(())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let answer = call(client.access().list_tokens(ListTokensRequest {})).await?;
    if context.out.is_json() {
        let mut tokens = answer.tokens.iter();
        return tokens.try_for_each(|token| context.out.json(token));
    }
    if answer.tokens.is_empty() {
        context
            .out
            .note("No tokens. `m2 token create NAME --scope SCOPES` makes one.");
        return Ok(());
    }
    context.out.text(&human(&context.out, &answer.tokens))
}

async fn revoke(name: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = RevokeTokenRequest { name };
    let answer = call(client.access().revoke_token(request)).await?;
    context.out.show(&answer, |_| "Revoked.".to_owned())
}

async fn uses(args: UsesArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = ListTokenUsesRequest {
        name: args.name.unwrap_or_default(),
        limit: args.limit,
    };
    let answer = call(client.access().list_token_uses(request)).await?;
    if context.out.is_json() {
        let mut uses = answer.uses.iter();
        return uses.try_for_each(|one| context.out.json(one));
    }
    if answer.uses.is_empty() {
        context.out.note("No uses in the last 90 days.");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = answer.uses.iter().map(use_row).collect();
    let header = ["LAST", "TOKEN", "CALL", "CONTACT", "PERMITTED", "REFUSED"];
    context
        .out
        .text(&table::columns(&context.out, &header, &rows))
}

impl Scope {
    const fn to_proto(self) -> AccessScope {
        match self {
            Self::Events => AccessScope::Events,
            Self::Send => AccessScope::Send,
            Self::History => AccessScope::History,
            Self::Contacts => AccessScope::Contacts,
            Self::Admin => AccessScope::Admin,
            Self::Status => AccessScope::Status,
        }
    }
}

fn human(out: &Output, tokens: &[AccessToken]) -> String {
    let rows: Vec<Vec<String>> = tokens.iter().map(row).collect();
    let header = ["NAME", "SCOPES", "CONTACTS", "EXPIRES", "LAST USED"];
    table::columns(out, &header, &rows)
}

fn row(token: &AccessToken) -> Vec<String> {
    let scopes = token.scopes().map(scope_name);
    let contacts = token.contacts.iter().map(|contact| {
        if contact.name.is_empty() {
            short_id(&contact.peer_id)
        } else {
            sanitize::line(&contact.name)
        }
    });
    let contacts = if token.limited {
        contacts.collect::<Vec<_>>().join(",")
    } else {
        "all".to_owned()
    };
    let expires = match &token.expires {
        Some(time) => time::local(Some(time)),
        None => "never".to_owned(),
    };
    vec![
        sanitize::line(&token.name),
        scopes.collect::<Vec<_>>().join(","),
        contacts,
        expires,
        time::local(token.last_used.as_ref()),
    ]
}

fn scope_name(scope: AccessScope) -> String {
    let name = scope.as_str_name();
    name.trim_start_matches("ACCESS_SCOPE_").to_lowercase()
}

fn use_row(one: &TokenUse) -> Vec<String> {
    let contact = if one.peer_id.is_empty() {
        String::new()
    } else {
        short_id(&one.peer_id)
    };
    vec![
        time::local(one.last.as_ref()),
        sanitize::line(&one.name),
        sanitize::line(&one.call),
        contact,
        one.permitted.to_string(),
        one.refused.to_string(),
    ]
}
