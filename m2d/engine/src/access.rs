//! Access tokens: creates and revokes them, and records what they were used for
//! (docs/operator/access.md).

use crate::call;
use crate::effect::Effect;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::State;
use m2_core::access::{AccessToken, Scope, Scopes};
use m2_crypto::PeerId;
use m2_proto::reason::Reason;
use m2_store::{AccessTokenRow, StoreError, TokenUseRow};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The most tokens.
const MAX_TOKENS: usize = 256;
/// The most contacts of a token.
const MAX_CONTACTS: usize = 100;
/// How long uses are kept, in milliseconds.
const KEEP_USES_MS: u64 = 90 * 86_400_000;
/// The most rows of uses.
const MAX_USES: u32 = 10_000;

/// The parameters of a new token.
#[derive(Debug, Clone)]
pub struct NewAccessToken {
    /// The name.
    pub name: String,
    /// What it permits.
    pub scopes: Scopes,
    /// The contacts that it reaches, by name, peer id, or a prefix of that. Empty for all.
    pub contacts: Vec<String>,
    /// The validity period in milliseconds; `None` for no end.
    pub valid_ms: Option<u64>,
}

/// A request about access tokens.
pub enum AccessRequest {
    /// Create a token. The answer is its row and its text.
    Create(NewAccessToken, Reply<(AccessTokenRow, Zeroizing<String>)>),
    /// Revoke the token with this name.
    Revoke(String, Reply<()>),
    /// Record uses.
    Record(Vec<TokenUseRow>, Reply<()>),
}

/// Handles a request about access tokens.
pub(crate) fn handle(engine: &mut State, request: AccessRequest) {
    match request {
        AccessRequest::Create(new, reply) => {
            call::run(engine, reply, |engine| create(engine, new));
        }
        AccessRequest::Revoke(name, reply) => {
            call::run(engine, reply, |engine| revoke(engine, &name));
        }
        AccessRequest::Record(uses, reply) => {
            call::run(engine, reply, |engine| record(engine, &uses));
        }
    }
}

fn create(
    engine: &mut State,
    new: NewAccessToken,
) -> Result<(AccessTokenRow, Zeroizing<String>), Refusal> {
    check_scopes(new.scopes, !new.contacts.is_empty())?;
    let contacts = contacts(engine, &new.contacts)?;
    engine.batch.require_disk()?;
    let tokens = engine.batch.store.access_tokens()?;
    if tokens.iter().any(|token| token.name == new.name) {
        return Err(taken(&new.name));
    }
    if tokens.len() >= MAX_TOKENS {
        return Err(Refusal::limit(
            "tokens",
            MAX_TOKENS,
            "access tokens",
            "Revoke those that are no longer used with `m2 token revoke NAME`; \
             `m2 token list` shows all.",
        ));
    }
    let token = AccessToken::random(&mut engine.batch.rng);
    let now = engine.batch.now_ms();
    let row = AccessTokenRow {
        name: new.name,
        selector: token.selector(),
        hash: token.hash(),
        scopes: new.scopes.bits(),
        contacts,
        created_ms: now,
        expires_ms: new.valid_ms.map(|valid| now.saturating_add(valid)),
    };
    engine.batch.store.insert_access_token(&row)?;
    tell(engine)?;
    Ok((row, token.to_text()))
}

/// Checks that a limit to contacts can be kept: scopes that are not about contacts have none.
fn check_scopes(scopes: Scopes, is_limited: bool) -> Result<(), Refusal> {
    if scopes.is_empty() {
        return Err(Refusal::argument(
            "scopes",
            "one or more",
            "A token without a scope permits nothing. Name at least one scope.",
        ));
    }
    if is_limited && !scopes.iter().all(Scope::is_about_contacts) {
        return Err(Refusal::argument(
            "contacts",
            "with the scopes events, send and history only",
            "Only the scopes events, send and history can be limited to contacts. Leave out the \
             other scopes, or the contacts.",
        ));
    }
    Ok(())
}

fn contacts(engine: &State, names: &[String]) -> Result<Option<BTreeSet<PeerId>>, Refusal> {
    if names.is_empty() {
        return Ok(None);
    }
    if names.len() > MAX_CONTACTS {
        return Err(Refusal::argument(
            "contacts",
            "at most 100",
            "A token is limited to at most 100 contacts. Name fewer.",
        ));
    }
    let mut contacts = BTreeSet::new();
    for name in names {
        let row = engine.peers.resolve(name)?;
        contacts.extend(engine.peers.get(&row).map(|peer| peer.contact.peer_id));
    }
    Ok(Some(contacts))
}

fn revoke(engine: &mut State, name: &str) -> Result<(), Refusal> {
    if !engine.batch.store.delete_access_token(name)? {
        return Err(Refusal::new(Reason::TokenUnknown));
    }
    Ok(tell(engine)?)
}

/// Gives the stored tokens to the API once the batch is on disk.
fn tell(engine: &mut State) -> Result<(), StoreError> {
    let tokens = engine.batch.store.access_tokens()?;
    engine.batch.effect(Effect::AccessTokens(tokens));
    Ok(())
}

fn record(engine: &mut State, uses: &[TokenUseRow]) -> Result<(), Refusal> {
    engine.batch.require_disk()?;
    engine.batch.store.add_token_uses(uses)?;
    let kept_from = engine.batch.now_ms().saturating_sub(KEEP_USES_MS);
    Ok(engine.batch.store.prune_token_uses(kept_from, MAX_USES)?)
}

fn taken(name: &str) -> Refusal {
    Refusal::because(
        Reason::NameTaken,
        format!(
            "A token named \"{name}\" exists. Choose another name, or revoke it first with \
             `m2 token revoke {name}`."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Step;
    use crate::relations;
    use crate::testing::engine;
    use m2_core::ContactState;

    const SEND: Scopes = Scopes::of(&[Scope::Send]);

    fn new(name: &str, scopes: Scopes, contacts: &[&str]) -> NewAccessToken {
        NewAccessToken {
            name: name.to_owned(),
            scopes,
            contacts: contacts.iter().map(|&name| name.to_owned()).collect(),
            valid_ms: Some(1_000),
        }
    }

    fn told(engine: &mut crate::Engine) -> Vec<Vec<String>> {
        let steps = std::mem::take(&mut engine.state.batch.steps).into_iter();
        let lists = steps.filter_map(|step| match step {
            Step::Effect(Effect::AccessTokens(rows)) => {
                Some(rows.into_iter().map(|row| row.name).collect())
            }
            _ => None,
        });
        lists.collect()
    }

    #[test]
    fn a_token_is_stored_as_its_hash_and_the_api_learns_of_it() {
        let (_dir, mut engine) = engine();
        let peer = PeerId::from_bytes([1; 32]);
        relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
        let name = peer.to_string();
        let (row, text) = create(&mut engine.state, new("bot", SEND, &[&name])).unwrap();
        let token = AccessToken::parse(&text).unwrap();
        assert_eq!((row.selector, row.hash), (token.selector(), token.hash()));
        assert_eq!(row.contacts, Some(BTreeSet::from([peer])));
        assert_eq!(row.expires_ms, Some(row.created_ms + 1_000));
        assert_eq!(engine.state.batch.store.access_tokens().unwrap(), [row]);
        assert_eq!(told(&mut engine), [["bot"]]);
        revoke(&mut engine.state, "bot").unwrap();
        assert_eq!(told(&mut engine), [[""; 0]]);
        let refused = revoke(&mut engine.state, "bot").unwrap_err();
        assert_eq!(refused.reason, Reason::TokenUnknown);
    }

    #[test]
    fn a_token_that_would_permit_more_than_it_says_is_refused() {
        let (_dir, mut engine) = engine();
        let mut refused = |new| create(&mut engine.state, new).unwrap_err();
        let nothing = refused(new("bot", Scopes::default(), &[]));
        assert_eq!(nothing.field, "scopes");
        let unknown = refused(new("bot", SEND, &["ann"]));
        assert_eq!(unknown.reason, Reason::ContactUnknown);
        for scope in [Scope::Contacts, Scope::Admin] {
            let scopes = Scopes::of(&[Scope::Send, scope]);
            assert_eq!(refused(new("bot", scopes, &["ann"])).field, "contacts");
        }
    }

    #[test]
    fn names_are_unique_and_the_number_of_tokens_is_bounded() {
        let (_dir, mut engine) = engine();
        engine.state.batch.store.begin().unwrap();
        for number in 0..MAX_TOKENS {
            let name = format!("bot-{number}");
            create(&mut engine.state, new(&name, SEND, &[])).unwrap();
        }
        let again = create(&mut engine.state, new("bot-7", SEND, &[])).unwrap_err();
        assert_eq!(again.reason, Reason::NameTaken);
        let more = create(&mut engine.state, new("more", SEND, &[])).unwrap_err();
        assert_eq!(more.reason, Reason::LimitReached);
        assert!(more.message.contains("m2 token revoke"));
        revoke(&mut engine.state, "bot-7").unwrap();
        create(&mut engine.state, new("more", SEND, &[])).unwrap();
    }
}
