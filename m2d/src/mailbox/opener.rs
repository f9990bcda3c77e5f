//! Opens letters on blocking threads: each needs two private RSA operations.

use crate::driver::EngineHandle;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, Letter, OpenedLetter};
use m2_crypto::{Certificate, Identity, OpenFailed, PeerId};
use m2_engine::LetterInput;
use m2_engine::Refusal;
use m2_engine::clock::Clock;
use m2_limits::counters::Counters;
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
    clock: Arc<Clock>,
    counters: Arc<Counters>,
    turns: Semaphore,
}

impl LetterOpener {
    /// Returns an opener that passes opened letters to `engine`.
    pub fn new(
        engine: EngineHandle,
        identity: Arc<Identity>,
        own_id: PeerId,
        clock: Arc<Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            engine,
            identity,
            own_id,
            clock,
            counters,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Opens a letter and stores its message. A letter that is malformed, addressed to another
    /// identity or already received is ignored: the provider may delete it too.
    ///
    /// Errors: those of the engine. The letter must then be collected again.
    pub async fn take(self: &Arc<Self>, sealed: Bytes) -> Result<(), Refusal> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Ok(());
        };
        let Some((letter, header)) = self.unwrap(sealed).await else {
            self.counters.count("LETTER_UNOPENED");
            return Ok(());
        };
        let sender = self
            .engine
            .call(|reply| LetterInput::Sender(header, reply))
            .await?;
        let Some(certificate) = sender else {
            return Ok(());
        };
        let Some(opened) = self.open(letter, certificate).await else {
            self.counters.count("LETTER_UNOPENED");
            return Ok(());
        };
        self.engine
            .call(|reply| LetterInput::Take(opened, reply))
            .await
    }

    async fn unwrap(self: &Arc<Self>, sealed: Bytes) -> Option<(Letter, EpochHeader)> {
        let this = self.clone();
        let work = move || -> Result<_, OpenFailed> {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let letter = Letter::unwrap(&mut rng, &this.identity, &this.own_id, &sealed)?;
            let header = letter.header()?;
            // The sender that sealed the outside must be the one inside.
            (header.sender == *letter.sender())
                .then_some((letter, header))
                .ok_or(OpenFailed)
        };
        tokio::task::spawn_blocking(work).await.ok()?.ok()
    }

    async fn open(
        self: &Arc<Self>,
        letter: Letter,
        certificate: Arc<Certificate>,
    ) -> Option<OpenedLetter> {
        let this = self.clone();
        let work = move || {
            let mut rng = UnwrapErr(getrandom::SysRng);
            let now_s = this.clock.now_ms() / 1_000;
            letter.open(&mut rng, &this.identity, &certificate, now_s)
        };
        tokio::task::spawn_blocking(work).await.ok()?.ok()
    }
}
