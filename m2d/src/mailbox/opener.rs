//! Opens letters on blocking threads: each needs a private RSA operation.

use crate::driver::EngineHandle;
use m2_crypto::certificate::MODULUS_BYTES;
use m2_crypto::letter::{LetterSecret, OpenedLetter, Opener};
use m2_crypto::{Identity, PeerId, provider};
use m2_engine::{LetterInput, LetterKeys, Refusal};
use m2_limits::counters::Counters;
use m2_net::wire::mailbox::Letter;
use rand_core::UnwrapErr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The maximum number of letters opened concurrently, for all providers.
const AT_ONCE: usize = 2;

/// The opener of letters.
pub struct LetterOpener {
    engine: EngineHandle,
    identity: Arc<Identity>,
    own_id: PeerId,
    counters: Arc<Counters>,
    turns: Semaphore,
}

impl LetterOpener {
    /// Returns an opener that passes opened letters to `engine`.
    pub fn new(
        engine: EngineHandle,
        identity: Arc<Identity>,
        own_id: PeerId,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            engine,
            identity,
            own_id,
            counters,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Opens a letter and stores its message. A letter that does not open, or whose nonce was not given
    /// away or is used, is ignored: the provider may delete it too.
    ///
    /// Errors: those of the engine. The letter must then be collected again.
    pub async fn take(self: &Arc<Self>, letter: Letter) -> Result<(), Refusal> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Ok(());
        };
        let nonce = letter.nonce;
        let keys = self
            .engine
            .call(|reply| LetterInput::Keys(nonce, reply))
            .await?;
        let Some(keys) = keys else {
            self.work_in_vain(letter).await;
            return Ok(());
        };
        let Some(opened) = self.open(letter, keys).await else {
            self.counters.count("LETTER_UNOPENED");
            return Ok(());
        };
        self.engine
            .call(|reply| LetterInput::Take(nonce, opened, reply))
            .await
    }

    /// Does the most expensive part of the work for a letter that is not wanted, so that the provider can
    /// hardly tell by the time which letters are.
    async fn work_in_vain(self: &Arc<Self>, letter: Letter) {
        let this = self.clone();
        let work = move || {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let wrapped = letter.sealed.get(..MODULUS_BYTES).unwrap_or_default();
            // It fails: no letter has this label.
            this.identity.unwrap(&mut rng, b"unwanted", wrapped).is_ok()
        };
        let _ = tokio::task::spawn_blocking(work).await;
    }

    async fn open(self: &Arc<Self>, letter: Letter, keys: LetterKeys) -> Option<OpenedLetter> {
        let this = self.clone();
        let work = move || {
            let secrets: Vec<&LetterSecret> = keys.secrets.iter().collect();
            let opener = Opener {
                identity: &this.identity,
                peer_id: &this.own_id,
                nonce: &letter.nonce,
                key: &keys.seed.key(provider::default()).ok()?,
                secrets: &secrets,
                sender: &keys.sender,
                certificate: &keys.certificate,
            };
            let mut rng = UnwrapErr(getrandom::SysRng);
            opener.open(&mut rng, &letter.sealed).ok()
        };
        tokio::task::spawn_blocking(work).await.ok().flatten()
    }
}
