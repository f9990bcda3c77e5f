//! Compares the tokens that a provider should hold with those that it holds
//! (docs/spec/mailbox.md#tokens).

use m2_crypto::PeerId;
use m2_crypto::mailbox::{TOKENS_AHEAD, TokenHash};
use m2_store::GrantRow;
use std::collections::HashSet;

/// The changes to make at the provider, and the resulting grants.
#[derive(Debug)]
pub(super) struct Refill {
    /// Tokens to remove: they belong to no contact that may deposit.
    pub(super) remove: Vec<TokenHash>,
    /// Tokens to register, grouped by contact: shuffle them first.
    pub(super) add: Vec<TokenHash>,
    /// The grants after these changes.
    pub(super) grants: Vec<GrantRow>,
}

/// Compares the unused tokens at a provider with the contacts that may deposit. Each contact gets
/// [`TOKENS_AHEAD`] tokens beyond its last used one. If a contact's new tokens exceed the room (the
/// maximum number of tokens in the box), it gets none of them, because its token numbers must not
/// have gaps.
pub(super) fn refill(
    owner: &PeerId,
    grants: Vec<GrantRow>,
    unused: &HashSet<TokenHash>,
    room: usize,
) -> Refill {
    let mut strange = unused.clone();
    let looked: Vec<Need> = grants
        .into_iter()
        .map(|grant| look(owner, grant, &mut strange))
        .collect();
    let mut count = unused.len() - strange.len();
    let mut add = Vec::new();
    let mut after = Vec::with_capacity(looked.len());
    for Need {
        mut grant,
        fresh,
        next,
    } in looked
    {
        if count + fresh.len() <= room {
            count += fresh.len();
            add.extend(fresh);
            grant.next = next;
        }
        after.push(grant);
    }
    Refill {
        remove: strange.into_iter().collect(),
        add,
        grants: after,
    }
}

/// The tokens that one contact needs.
struct Need {
    grant: GrantRow,
    /// The tokens to register.
    fresh: Vec<TokenHash>,
    /// The number of the first token that is not registered afterwards.
    next: u64,
}

/// Finds a contact's tokens among `strange`, the tokens at the provider, and removes them from it.
fn look(owner: &PeerId, mut grant: GrantRow, strange: &mut HashSet<TokenHash>) -> Need {
    let seed = grant.seed.clone();
    let hash = |index| TokenHash::of(&seed.token(owner, index));
    let mut first_unused = None;
    let mut used_up_to = grant.first;
    for index in grant.first..grant.next {
        if strange.remove(&hash(index)) {
            first_unused.get_or_insert(index);
        } else {
            used_up_to = index + 1;
        }
    }
    let next = used_up_to.saturating_add(TOKENS_AHEAD).max(grant.next);
    let wanted = (grant.next..next).map(hash);
    // The provider may already have some of them, if its answer to their registration was lost.
    let fresh = wanted.filter(|hash| !strange.remove(hash)).collect();
    grant.first = first_unused.unwrap_or(grant.next);
    Need { grant, fresh, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::Secret;
    use m2_crypto::mailbox::TokenSeed;
    use m2_store::{BoxRowId, ContactRowId};

    const ROOM: usize = 1_000;
    const AHEAD: usize = TOKENS_AHEAD as usize;

    fn owner() -> PeerId {
        PeerId::from_bytes([7; 32])
    }

    fn grant(contact: i64) -> GrantRow {
        GrantRow {
            contact: ContactRowId::new(contact),
            mailbox: BoxRowId::new(1),
            seed: TokenSeed::new(Secret::new([contact as u8; 32])),
            first: 0,
            next: 0,
        }
    }

    fn token(contact: i64, index: u64) -> TokenHash {
        TokenHash::of(&grant(contact).seed.token(&owner(), index))
    }

    fn begin() -> (Vec<GrantRow>, HashSet<TokenHash>) {
        let refill = refill(&owner(), vec![grant(1), grant(2)], &HashSet::new(), ROOM);
        assert!(refill.remove.is_empty());
        assert_eq!(refill.add.len(), 2 * AHEAD);
        (refill.grants, refill.add.into_iter().collect())
    }

    #[test]
    fn used_tokens_are_replaced() {
        let (grants, mut unused) = begin();
        for index in [0, 1, 5] {
            assert!(unused.remove(&token(1, index)));
        }
        let next = refill(&owner(), grants, &unused, ROOM);
        assert!(next.remove.is_empty());
        let expected: Vec<_> = (64..70).map(|index| token(1, index)).collect();
        assert_eq!(next.add, expected);
        assert_eq!((next.grants[0].first, next.grants[0].next), (2, 70));
        assert_eq!((next.grants[1].first, next.grants[1].next), (0, 64));
    }

    #[test]
    fn only_tokens_of_contacts_that_may_no_longer_deposit_are_removed() {
        let (mut grants, unused) = begin();
        grants.remove(0);
        let next = refill(&owner(), grants, &unused, ROOM);
        assert!(next.add.is_empty());
        let removed: HashSet<_> = next.remove.into_iter().collect();
        assert_eq!(removed, (0..64).map(|index| token(1, index)).collect());
    }

    #[test]
    fn a_lost_answer_to_a_registration_is_harmless() {
        let (_, unused) = begin();
        let again = refill(&owner(), vec![grant(1), grant(2)], &unused, ROOM);
        assert!(again.add.is_empty() && again.remove.is_empty());
        assert_eq!(again.grants[0].next, 64);
    }

    #[test]
    fn the_limit_on_tokens_of_a_box_is_kept() {
        let some = refill(&owner(), vec![grant(1), grant(2)], &HashSet::new(), 100);
        assert_eq!(some.add.len(), AHEAD);
        assert_eq!((some.grants[0].next, some.grants[1].next), (64, 0));
    }

    #[test]
    fn all_tokens_may_be_used_up() {
        let (grants, mut unused) = begin();
        unused.retain(|hash| !(0..64).any(|index| token(2, index) == *hash));
        let next = refill(&owner(), grants, &unused, ROOM);
        assert_eq!(next.add.len(), AHEAD);
        assert_eq!((next.grants[1].first, next.grants[1].next), (64, 128));
    }
}
