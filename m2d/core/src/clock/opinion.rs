//! Determines from contacts' clocks whether this computer's clock is wrong. Sans-IO.

/// The largest difference that counts as agreement, in milliseconds (docs/operator/clocks.md).
const AGREE_MS: u64 = 5 * 60_000;

/// The verdict of contacts' clocks on this computer's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// No contact has stated its time.
    Unknown,
    /// At least as many contacts' clocks agree with this computer's as with any other time.
    Right {
        /// The number of contacts whose clocks differ.
        others: usize,
    },
    /// At least two contacts' clocks agree with each other, and more than agree with this
    /// computer's.
    Wrong {
        /// How far contacts' clocks are ahead of this computer's, in milliseconds.
        by_ms: i64,
        /// The number of contacts that agree on this difference.
        contacts: usize,
    },
    /// One of the two sides is wrong, and it is not known which.
    Unclear {
        /// How far a contact's clock is ahead of this computer's, in milliseconds.
        by_ms: i64,
    },
}

/// Compares how far each contact's clock is ahead of this computer's. A single contact is never
/// enough to declare this computer's clock wrong: that contact's clock may be the wrong one.
pub fn opinion(skews_ms: &[i64]) -> Opinion {
    let right = count_near(skews_ms, 0);
    let groups = skews_ms
        .iter()
        .map(|skew| (count_near(skews_ms, *skew), *skew));
    let Some((most, by_ms)) = groups.filter(|(_, skew)| !agrees(*skew)).max() else {
        return if right > 0 {
            Opinion::Right { others: 0 }
        } else {
            Opinion::Unknown
        };
    };
    if right > 0 && right >= most {
        let others = skews_ms.len() - right;
        Opinion::Right { others }
    } else if most >= 2 && most > right {
        Opinion::Wrong {
            by_ms,
            contacts: most,
        }
    } else {
        Opinion::Unclear { by_ms }
    }
}

/// Returns whether a difference is small enough to count as agreement.
pub const fn agrees(skew_ms: i64) -> bool {
    skew_ms.unsigned_abs() <= AGREE_MS
}

fn count_near(skews_ms: &[i64], to: i64) -> usize {
    let near = |skew: &&i64| skew.abs_diff(to) <= AGREE_MS;
    skews_ms.iter().filter(near).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn agreement_among_contacts_determines_the_wrong_clock() {
        assert_eq!(opinion(&[]), Opinion::Unknown);
        assert_eq!(opinion(&[0, 1_000]), Opinion::Right { others: 0 });
        assert_eq!(opinion(&[0, 72 * HOUR]), Opinion::Right { others: 1 });
        let three_days_ahead = opinion(&[-72 * HOUR, -72 * HOUR + 1_000, 0]);
        let contacts = 2;
        assert!(
            matches!(three_days_ahead, Opinion::Wrong { by_ms, contacts: 2 } if by_ms / HOUR == -71)
        );
        let by_ms = 20 * HOUR;
        let said = opinion(&[by_ms; 2]);
        assert_eq!(said, Opinion::Wrong { by_ms, contacts });
    }

    #[test]
    fn one_contact_alone_does_not_make_this_clock_wrong() {
        let by_ms = -72 * HOUR;
        assert_eq!(opinion(&[by_ms]), Opinion::Unclear { by_ms });
        // Two contacts that state different times do not agree.
        let said = opinion(&[-72 * HOUR, 5 * HOUR]);
        assert!(matches!(said, Opinion::Unclear { .. }));
        // Equal numbers of contacts agree and disagree.
        assert_eq!(
            opinion(&[0, 0, 9 * HOUR, 9 * HOUR]),
            Opinion::Right { others: 2 }
        );
        assert_eq!(
            opinion(&[i64::MIN, i64::MAX]),
            Opinion::Unclear { by_ms: i64::MAX }
        );
    }
}
