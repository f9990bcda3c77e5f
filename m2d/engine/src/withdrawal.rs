//! Letters that are not needed any more, or need another token.

use crate::refusal::Refusal;
use crate::state::State;
use m2_store::{ContactRowId, LetterRow};

/// Gives up the token of a sealed letter: its deposit was not confirmed, and a token admits one letter.
pub(crate) fn unseal(engine: &mut State, letter: &mut LetterRow) -> Result<(), Refusal> {
    if let Some(sealed) = letter.sealed.take() {
        let (nonce, now_s) = (sealed.token.nonce(), engine.batch.now_ms() / 1_000);
        let store = &engine.batch.store;
        store.give_up_token(letter.contact, nonce, now_s)?;
    }
    Ok(())
}

/// Deletes a letter that is not needed, with its token.
pub(crate) fn withdraw(engine: &mut State, letter: &LetterRow) -> Result<(), Refusal> {
    unseal(engine, &mut letter.clone())?;
    Ok(engine.batch.store.delete_letter(letter.message)?)
}

/// Deletes all letters to a contact, which are not needed.
pub(crate) fn withdraw_all(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    for letter in engine.batch.store.letters_to(contact)? {
        withdraw(engine, &letter)?;
    }
    Ok(())
}
