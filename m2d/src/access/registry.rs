//! The access tokens, as calls are checked against them.

use m2_core::access::{AccessToken, Scopes};
use m2_crypto::PeerId;
use m2_engine::clock::Clock;
use m2_store::AccessTokenRow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

/// How often the expiry of a token with an open stream is compared with the clock.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The tokens by their selectors. Empty until the store is open.
#[derive(Debug, Default)]
pub struct Registry {
    clock: OnceLock<Arc<Clock>>,
    grants: RwLock<HashMap<[u8; 8], Grant>>,
}

/// What a valid token permits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Grant {
    token: Arc<AccessTokenRow>,
    scopes: Scopes,
    revoked: CancellationToken,
    clock: Arc<Clock>,
}

impl Registry {
    /// Accepts the stored tokens. Their expiry is compared with this clock.
    pub fn open(&self, clock: &Arc<Clock>, tokens: Vec<AccessTokenRow>) {
        let _ = self.clock.set(clock.clone());
        self.replace(tokens);
    }

    /// Returns whether the stored tokens are known.
    pub fn is_open(&self) -> bool {
        self.clock.get().is_some()
    }

    /// Accepts these tokens and no others. The streams of a token that is not among them end.
    pub fn replace(&self, tokens: Vec<AccessTokenRow>) {
        let Some(clock) = self.clock.get() else {
            return;
        };
        let mut grants = self.grants.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *grants);
        for token in tokens {
            // A scope of a later version could permit anything, so that its token permits nothing.
            let Some(scopes) = Scopes::from_bits(token.scopes) else {
                continue;
            };
            let selector = token.selector;
            let is_kept = old
                .get(&selector)
                .is_some_and(|grant| *grant.token == token);
            // One that is stored in another form ends with those that are not stored any more.
            let kept = is_kept.then(|| old.remove(&selector)).flatten();
            let grant = kept.unwrap_or_else(|| Grant {
                token: Arc::new(token),
                scopes,
                revoked: CancellationToken::new(),
                clock: clock.clone(),
            });
            grants.insert(selector, grant);
        }
        drop(grants);
        old.into_values().for_each(|grant| grant.revoked.cancel());
    }

    /// Returns the grant of a token, or `None` if the token is not valid.
    pub fn find(&self, text: &str) -> Option<Grant> {
        let token = AccessToken::parse(text)?;
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get(&token.selector())?;
        let is_right = bool::from(grant.token.hash.ct_eq(&token.hash()));
        (is_right && grant.is_valid()).then(|| grant.clone())
    }
}

impl Grant {
    /// Returns the name of the token.
    pub fn name(&self) -> &str {
        &self.token.name
    }

    /// Returns the scopes of the token.
    pub const fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Returns whether the token reaches only some contacts.
    pub fn is_limited(&self) -> bool {
        self.token.contacts.is_some()
    }

    /// Returns whether the token reaches a contact.
    pub fn reaches(&self, peer: &PeerId) -> bool {
        let contacts = self.token.contacts.as_ref();
        contacts.is_none_or(|contacts| contacts.contains(peer))
    }

    /// Returns the contacts that the token reaches; `None` for all.
    pub fn contacts(&self) -> Option<Vec<PeerId>> {
        let contacts = self.token.contacts.as_ref();
        contacts.map(|contacts| contacts.iter().copied().collect())
    }

    /// Returns whether the token has neither expired nor been revoked.
    pub fn is_valid(&self) -> bool {
        let now = self.clock.now_ms();
        !self.revoked.is_cancelled() && self.token.expires_ms.is_none_or(|end| now < end)
    }

    /// Returns the time by the clock that tokens expire by, in Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Completes when the token expires or is revoked. Cancel-safe.
    pub async fn ended(&self) {
        let expired = async {
            let Some(end) = self.token.expires_ms else {
                return std::future::pending().await;
            };
            while let Some(left) = end.checked_sub(self.clock.now_ms())
                && left > 0
            {
                tokio::time::sleep(Duration::from_millis(left).min(LOOK_EVERY)).await;
            }
        };
        tokio::select! {
            () = self.revoked.cancelled() => {}
            () = expired => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_core::access::Scope;
    use m2_core::clock::Reading;
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    const START: u64 = 2_000_000_000_000;

    fn row(name: &str, token: &AccessToken) -> AccessTokenRow {
        AccessTokenRow {
            name: name.to_owned(),
            selector: token.selector(),
            hash: token.hash(),
            scopes: Scopes::of(&[Scope::Send]).bits(),
            contacts: None,
            created_ms: 0,
            expires_ms: None,
        }
    }

    fn clock(now: &Arc<AtomicU64>) -> Arc<Clock> {
        let now = now.clone();
        Arc::new(Clock::from_source(0, move || Reading {
            system_ms: now.load(Ordering::Relaxed),
            steady_ms: now.load(Ordering::Relaxed),
        }))
    }

    fn token() -> AccessToken {
        AccessToken::random(&mut rand_core::UnwrapErr(getrandom::SysRng))
    }

    #[test]
    fn only_the_whole_token_is_accepted() {
        let registry = Registry::default();
        let (known, other) = (token(), token());
        assert!(!registry.is_open());
        registry.open(&clock(&Arc::default()), vec![row("bot", &known)]);
        let grant = registry.find(&known.to_text()).unwrap();
        assert_eq!((grant.name(), grant.is_limited()), ("bot", false));
        assert!(registry.find(&other.to_text()).is_none());
        let (known, other) = (known.to_text(), other.to_text());
        let (selector, secret) = (&known[..21], &other[21..]);
        assert!(registry.find(&format!("{selector}{secret}")).is_none());
        assert!(registry.find("").is_none());
    }

    #[test]
    fn a_token_reaches_its_contacts_only() {
        let (registry, known) = (Registry::default(), token());
        let peers = [1, 2].map(|byte| PeerId::from_bytes([byte; 32]));
        let contacts = Some(BTreeSet::from([peers[0]]));
        let row = AccessTokenRow {
            contacts,
            ..row("bot", &known)
        };
        registry.open(&clock(&Arc::default()), vec![row]);
        let grant = registry.find(&known.to_text()).unwrap();
        assert_eq!(peers.map(|peer| grant.reaches(&peer)), [true, false]);
    }

    #[test]
    fn a_token_with_an_unknown_scope_permits_nothing() {
        let (registry, known) = (Registry::default(), token());
        let row = AccessTokenRow {
            scopes: 1 << 20 | 2,
            ..row("bot", &known)
        };
        registry.open(&clock(&Arc::default()), vec![row]);
        assert!(registry.find(&known.to_text()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_ends_when_it_expires_or_is_revoked() {
        let now = Arc::new(AtomicU64::new(START));
        let (registry, short, long) = (Registry::default(), token(), token());
        let expiring = AccessTokenRow {
            expires_ms: Some(START + 60_000),
            ..row("short", &short)
        };
        registry.open(&clock(&now), vec![expiring.clone(), row("long", &long)]);
        let [first, second] = [&short, &long].map(|it| registry.find(&it.to_text()).unwrap());
        let ended = tokio::spawn(async move { first.ended().await });
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(!ended.is_finished(), "the daemon's clock did not move");
        now.store(START + 60_000, Ordering::Relaxed);
        ended.await.unwrap();
        assert!(registry.find(&short.to_text()).is_none());
        // The other token is kept when a third is added, and ends when it is not listed.
        registry.replace(vec![expiring, row("long", &long), row("new", &token())]);
        assert!(second.is_valid());
        registry.replace(Vec::new());
        second.ended().await;
        assert!(!second.is_valid());
        assert!(registry.find(&long.to_text()).is_none());
    }
}
