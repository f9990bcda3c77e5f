//! The least suites of contacts, relays and providers: a peer never uses a lower suite again
//! (docs/spec/handshake.md#suites).

use crate::effect::Effect;
use crate::state::State;
use m2_crypto::PeerId;
use m2_store::{ContactRowId, StoreError};

/// Requires the stored suites.
pub(crate) fn require_stored(engine: &mut State) -> Result<(), StoreError> {
    let stored = engine.batch.store.suites()?.into_iter();
    let effects = stored.map(|(peer, suite)| Effect::RequireSuite(peer, suite));
    engine.batch.effects.extend(effects);
    Ok(())
}

/// Requires the suite of earlier sessions with a peer also in its new role: its new row has none yet.
pub(crate) fn carry_over(engine: &mut State, peer: &PeerId) -> Result<(), StoreError> {
    let stored = engine.batch.store.suites()?.into_iter();
    let of_peer = stored.filter(|(other, _)| other == peer);
    if let Some(suite) = of_peer.map(|(_, suite)| suite).max() {
        engine.batch.store.raise_suite(peer, suite)?;
    }
    Ok(())
}

/// Requires the suite of a handshake that has just been completed. The suite of a contact is stored later: its
/// session is about to be stored.
pub(crate) fn on_handshake(engine: &mut State, peer: PeerId, suite: u16) {
    let row = engine.peers.row_of(&peer);
    if !row.is_some_and(|row| is_stored_for(engine, row)) {
        // A relay, a provider, or a peer whose suite is not stored.
        on_completed(engine, peer, suite);
        return;
    }
    engine.batch.effect(Effect::RequireSuite(peer, suite));
    let now = engine.batch.now_ms();
    if let Some((peer, suite)) = engine.suites.add(now, peer, suite) {
        on_completed(engine, peer, suite);
    }
}

/// Stores the suites that have waited long enough. While the disk is full they go on waiting.
pub(crate) fn store_due(engine: &mut State, now: u64) {
    if engine.batch.store.is_tight() {
        engine.suites.put_off(now);
        return;
    }
    while let Some((peer, suite)) = engine.suites.take_due(now) {
        on_completed(engine, peer, suite);
    }
}

/// Stores all suites that wait, in a transaction of its own. Used at the end.
///
/// Errors: the store can't be written.
pub(crate) fn store_all(engine: &mut State) -> Result<(), StoreError> {
    if engine.suites.is_empty() {
        return Ok(());
    }
    let store = &engine.batch.store;
    store.begin()?;
    while let Some((peer, suite)) = engine.suites.take() {
        store.raise_suite(&peer, suite)?;
    }
    store.commit()
}

fn is_stored_for(engine: &State, row: ContactRowId) -> bool {
    let peer_state = engine.peers.get(&row);
    peer_state.is_some_and(|peer_state| peer_state.contact.state.is_wanted())
}

/// Stores the suite of a completed session, and requires it from then on.
pub(crate) fn on_completed(engine: &mut State, peer: PeerId, suite: u16) {
    // A full disk must not roll back the rest of the batch. A later session is stored.
    if engine.batch.store.is_tight() {
        return;
    }
    match engine.batch.store.raise_suite(&peer, suite) {
        Ok(true) => engine.batch.effect(Effect::RequireSuite(peer, suite)),
        Ok(false) => {}
        Err(error) => engine.batch.fail(error.into()),
    }
}
