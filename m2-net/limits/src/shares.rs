//! Fair shares of a bounded table: the single mechanism by which tables that strangers can fill are
//! shared out among their sources. It holds only numbers and does no IO.
//!
//! Each entry of such a table is charged to an *owner* (a session, for example), and each owner
//! belongs to a *source*, usually a [`Prefix`]. While there is room, [`FairShares::claim`] grants
//! the entry. When the table is full, or a source has reached its quota, a claim names the owner
//! from which to take an entry: in the source that holds most, the owner that holds most and, among
//! equals, was used least recently. So a newcomer is refused only if its own share is already as
//! large as the largest.

use crate::prefix::Prefix;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// A source may hold three quarters of each table: the last quarter is always available to others
/// without evicting any entry.
const QUOTA_PARTS: (usize, usize) = (3, 4);

/// The outcome of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<O> {
    /// The entry is counted.
    Granted,
    /// Nothing is counted yet: this owner must give up something first, by [`FairShares::release`]
    /// or [`FairShares::remove`], and then the claim must be repeated.
    TakeFrom(O),
    /// The claimer already holds as much as the largest holder.
    Refused,
}

/// The treatment of a newcomer when all holders hold the same minimal amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenEven {
    /// The newcomer replaces the least recently used holder: for entries that should go to active
    /// users.
    Replace,
    /// The newcomer is refused: for entries whose loss would end something that is in progress.
    Refuse,
}

/// The number of entries of a bounded table that each owner holds.
#[derive(Debug)]
pub struct FairShares<O, S = Prefix> {
    capacity: usize,
    quota: usize,
    when_even: WhenEven,
    total: usize,
    /// A counter of uses, by which they are ordered.
    uses: u64,
    owners: HashMap<O, Owner<S>>,
    sources: HashMap<S, Group<O>>,
    /// The sources ordered by the number of entries that they hold; among equals, the least
    /// recently used is last.
    sizes: BTreeSet<(usize, Reverse<u64>, S)>,
}

#[derive(Debug, Clone, Copy)]
struct Owner<S> {
    source: S,
    count: usize,
    used: u64,
}

#[derive(Debug)]
struct Group<O> {
    total: usize,
    used: u64,
    /// The owners, ordered in the same way as the sources.
    owners: BTreeSet<(usize, Reverse<u64>, O)>,
}

impl<O: Copy + Ord + Hash, S: Copy + Ord + Hash> FairShares<O, S> {
    /// Creates the shares of an empty table of `capacity` entries.
    pub fn new(capacity: usize, when_even: WhenEven) -> Self {
        let (part, whole) = QUOTA_PARTS;
        Self {
            capacity,
            quota: capacity.saturating_mul(part).div_ceil(whole),
            when_even,
            total: 0,
            uses: 0,
            owners: HashMap::new(),
            sources: HashMap::new(),
            sizes: BTreeSet::new(),
        }
    }

    /// Claims one more entry for `owner`, which belongs to `source` for as long as it holds any
    /// entry.
    pub fn claim(&mut self, owner: O, source: S) -> Claim<O> {
        let own = self.owners.get(&owner);
        let (source, count) = own.map_or((source, 0), |own| (own.source, own.count));
        let share = self.sources.get(&source).map_or(0, |group| group.total);
        if share >= self.quota {
            return self.take_within(source, owner, count);
        }
        if self.total < self.capacity {
            self.set(owner, source, count + 1);
            return Claim::Granted;
        }
        let Some((largest, _, from)) = self.sizes.last().copied() else {
            return Claim::Refused;
        };
        if self.is_fair(share, largest) && from != source {
            return self
                .largest_of(from)
                .map_or(Claim::Refused, Claim::TakeFrom);
        }
        self.take_within(source, owner, count)
    }

    /// Records that an owner is in use, so that others are evicted first.
    pub fn touch(&mut self, owner: O) {
        if let Some(own) = self.owners.get(&owner).copied() {
            self.set(owner, own.source, own.count);
        }
    }

    /// Releases one entry of an owner.
    pub fn release(&mut self, owner: O) {
        if let Some(own) = self.owners.get(&owner).copied() {
            self.set(owner, own.source, own.count.saturating_sub(1));
        }
    }

    /// Releases all entries of an owner.
    pub fn remove(&mut self, owner: O) {
        if let Some(own) = self.owners.get(&owner).copied() {
            self.set(owner, own.source, 0);
        }
    }

    /// Returns the number of entries.
    pub const fn total(&self) -> usize {
        self.total
    }

    /// Returns the number of entries that the largest source holds.
    pub fn largest(&self) -> usize {
        self.sizes.last().map_or(0, |(size, _, _)| *size)
    }

    /// Takes from the largest owner of the claimer's own source, unless the claimer would then hold
    /// more.
    fn take_within(&self, source: S, owner: O, count: usize) -> Claim<O> {
        let group = self.sources.get(&source);
        match group.and_then(|group| group.owners.last()) {
            Some((largest, _, from)) if *from != owner && self.is_fair(count, *largest) => {
                Claim::TakeFrom(*from)
            }
            _ => Claim::Refused,
        }
    }

    /// Returns whether a holder of `share` may take from one of `largest`. It may not if that would
    /// only swap their places, because they would then take from each other in turn.
    fn is_fair(&self, share: usize, largest: usize) -> bool {
        let newcomer = share == 0 && self.when_even == WhenEven::Replace;
        newcomer || share + 1 < largest
    }

    fn largest_of(&self, source: S) -> Option<O> {
        let owners = &self.sources.get(&source)?.owners;
        owners.last().map(|(_, _, owner)| *owner)
    }

    /// Sets the number of entries of an owner, and records the use.
    fn set(&mut self, owner: O, source: S, count: usize) {
        self.uses += 1;
        let used = self.uses;
        let before = self.owners.remove(&owner);
        let had = before.map_or(0, |own| own.count);
        let group = self.sources.entry(source).or_insert_with(|| Group {
            total: 0,
            used: 0,
            owners: BTreeSet::new(),
        });
        self.sizes
            .remove(&(group.total, Reverse(group.used), source));
        if let Some(own) = before {
            group.owners.remove(&(own.count, Reverse(own.used), owner));
        }
        group.total = group.total + count - had;
        group.used = used;
        self.total = self.total + count - had;
        if count > 0 {
            let own = Owner {
                source,
                count,
                used,
            };
            self.owners.insert(owner, own);
            group.owners.insert((count, Reverse(used), owner));
        }
        if group.total > 0 {
            self.sizes.insert((group.total, Reverse(used), source));
        } else {
            self.sources.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn prefix(number: u8) -> Prefix {
        Prefix::of(IpAddr::from([127, 0, number, 1]))
    }

    /// Claims as a table does: the owner named by a claim loses all its entries.
    fn claim(shares: &mut FairShares<u64>, owner: u64, number: u8) -> (bool, Vec<u64>) {
        let mut taken = Vec::new();
        loop {
            match shares.claim(owner, prefix(number)) {
                Claim::Granted => return (true, taken),
                Claim::Refused => return (false, taken),
                Claim::TakeFrom(from) => {
                    shares.remove(from);
                    taken.push(from);
                }
            }
        }
    }

    #[test]
    fn a_newcomer_gets_its_share_from_the_largest_prefix() {
        let mut shares = FairShares::new(8, WhenEven::Replace);
        for owner in 0..6 {
            assert_eq!(claim(&mut shares, owner, 1), (true, vec![]));
        }
        assert_eq!(claim(&mut shares, 10, 2), (true, vec![]));
        assert_eq!(claim(&mut shares, 11, 2), (true, vec![]));
        assert_eq!(shares.total(), 8);
        shares.touch(0);
        assert_eq!(claim(&mut shares, 20, 3), (true, vec![1]), "0 was used");
        assert_eq!(claim(&mut shares, 21, 3), (true, vec![2]));
        assert_eq!(claim(&mut shares, 12, 2), (true, vec![3]), "2 and 4");
        assert_eq!(shares.largest(), 3);
        assert_eq!(claim(&mut shares, 7, 1), (true, vec![4]), "3 and 3");
    }

    #[test]
    fn the_largest_owner_of_a_prefix_loses_its_entries_first() {
        let mut shares = FairShares::new(8, WhenEven::Replace);
        for owner in [1, 2, 2, 2, 3] {
            assert!(claim(&mut shares, owner, 1).0);
        }
        for owner in [7, 8, 9] {
            assert!(claim(&mut shares, owner, 2).0);
        }
        assert_eq!(
            claim(&mut shares, 4, 1),
            (true, vec![2]),
            "in one prefix too"
        );
    }

    #[test]
    fn a_prefix_leaves_a_quarter_to_others() {
        let mut shares = FairShares::new(8, WhenEven::Refuse);
        let granted = (0..100).filter(|owner| claim(&mut shares, *owner, 1).0);
        assert_eq!(granted.count(), 6);
        assert_eq!(claim(&mut shares, 200, 2), (true, vec![]));
        assert_eq!(claim(&mut shares, 200, 2), (true, vec![]));
        assert!(
            !claim(&mut shares, 1, 1).0,
            "it is the largest owner of its prefix"
        );
    }

    #[test]
    fn equal_holders_are_left_alone_with_refuse() {
        let mut shares = FairShares::new(2, WhenEven::Refuse);
        assert!(claim(&mut shares, 1, 1).0);
        assert!(claim(&mut shares, 2, 2).0);
        assert_eq!(claim(&mut shares, 3, 3), (false, vec![]));
        let mut shares = FairShares::new(2, WhenEven::Replace);
        assert!(claim(&mut shares, 1, 1).0);
        assert!(claim(&mut shares, 2, 2).0);
        assert_eq!(claim(&mut shares, 3, 3), (true, vec![1]));
    }

    #[test]
    fn a_table_without_capacity_grants_nothing() {
        let mut shares = FairShares::new(0, WhenEven::Replace);
        assert_eq!(claim(&mut shares, 1, 1), (false, vec![]));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Claim(u64),
        Touch(u64),
        Release(u64),
        Remove(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let owner = 0_u64..12;
        let step = prop_oneof![
            6 => owner.clone().prop_map(Step::Claim),
            1 => owner.clone().prop_map(Step::Touch),
            1 => owner.clone().prop_map(Step::Release),
            1 => owner.prop_map(Step::Remove),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Compares with a plain count: nothing is lost or counted twice, the bound holds, and no
        /// claim is refused to a prefix that holds clearly less than its part of a full table.
        #[test]
        fn the_counts_are_right(steps in steps()) {
            const CAPACITY: usize = 9;
            let mut shares = FairShares::new(CAPACITY, WhenEven::Replace);
            let mut plain: HashMap<u64, usize> = HashMap::new();
            let of = |owner: u64| (owner % 3) as u8;
            for step in steps {
                match step {
                    Step::Claim(owner) => {
                        let (granted, taken) = claim(&mut shares, owner, of(owner));
                        for from in taken {
                            prop_assert!(plain.remove(&from).is_some());
                        }
                        let held: usize = plain
                            .iter()
                            .filter(|(other, _)| of(**other) == of(owner))
                            .map(|(_, count)| count)
                            .sum();
                        prop_assert!(granted || held + 1 >= CAPACITY / 3);
                        if granted {
                            *plain.entry(owner).or_default() += 1;
                        }
                    }
                    Step::Touch(owner) => shares.touch(owner),
                    Step::Release(owner) => {
                        shares.release(owner);
                        if let Some(count) = plain.get_mut(&owner) {
                            *count -= 1;
                        }
                        plain.retain(|_, count| *count > 0);
                    }
                    Step::Remove(owner) => {
                        shares.remove(owner);
                        plain.remove(&owner);
                    }
                }
                let total: usize = plain.values().sum();
                prop_assert!(total <= CAPACITY);
                prop_assert_eq!(shares.total(), total);
                prop_assert_eq!(shares.owners.len(), plain.len());
                let sizes: usize = shares.sizes.iter().map(|(size, _, _)| size).sum();
                prop_assert_eq!(sizes, total);
            }
        }
    }
}
