//! Which tokens a provider should have, compared with those that it has (spec §9).

use crate::store::GrantRow;
use m2_crypto::PeerId;
use m2_crypto::mailbox::{TOKENS_AHEAD, TokenHash};
use std::collections::HashSet;

/// What is to be done at the provider, and what then holds.
#[derive(Debug)]
pub(super) struct Refill {
    /// To be removed: they belong to nobody who may deposit.
    pub(super) remove: Vec<TokenHash>,
    /// To be registered, contact by contact: shuffle them.
    pub(super) add: Vec<TokenHash>,
    /// The grants as they are once that is done.
    pub(super) grants: Vec<GrantRow>,
}

/// Compares the tokens that a provider has left with those of all who may deposit. Each contact
/// gets [`TOKENS_AHEAD`] beyond the last that was used. A contact for whom there is no room (the
/// most tokens that the box may have) gets none: its next ones may not have holes.
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

/// What one contact needs.
struct Need {
    grant: GrantRow,
    /// Tokens to be registered.
    fresh: Vec<TokenHash>,
    /// The first that is not registered then.
    next: u64,
}

/// Finds a contact's tokens among those that the provider has, and takes them out.
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
    // The provider may have some although the news of that was lost.
    let fresh = wanted.filter(|hash| !strange.remove(hash)).collect();
    grant.first = first_unused.unwrap_or(grant.next);
    Need { grant, fresh, next }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use m2_crypto::Secret;
    use m2_crypto::mailbox::TokenSeed;

    const ROOM: usize = 1_000;
    const AHEAD: usize = TOKENS_AHEAD as usize;

    fn owner() -> PeerId {
        PeerId::from_bytes([7; 32])
    }

    fn grant(contact: i64) -> GrantRow {
        GrantRow {
            contact,
            mailbox: 1,
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
    fn used_tokens_are_made_up_for() {
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
    fn tokens_of_who_may_no_longer_are_removed_and_nobody_else_s() {
        let (mut grants, unused) = begin();
        grants.remove(0);
        let next = refill(&owner(), grants, &unused, ROOM);
        assert!(next.add.is_empty());
        let removed: HashSet<_> = next.remove.into_iter().collect();
        assert_eq!(removed, (0..64).map(|index| token(1, index)).collect());
    }

    #[test]
    fn lost_news_of_a_registration_do_no_harm() {
        let (_, unused) = begin();
        let again = refill(&owner(), vec![grant(1), grant(2)], &unused, ROOM);
        assert!(again.add.is_empty() && again.remove.is_empty());
        assert_eq!(again.grants[0].next, 64);
    }

    #[test]
    fn a_box_takes_no_more_tokens_than_it_may() {
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
