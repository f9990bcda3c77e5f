//! Which side's clock is wrong, judged by what contacts' clocks show. Sans-IO.

/// A difference up to this is none, milliseconds (spec §1).
const AGREE_MS: u64 = 5 * 60_000;

/// What contacts' clocks say of this computer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// No contact told its time.
    Unknown,
    /// Most contacts' clocks agree with this computer's. Of how many others they don't.
    Right {
        /// Contacts whose clocks differ.
        others: usize,
    },
    /// Contacts' clocks agree with each other and not with this computer's.
    Wrong {
        /// How far contacts' clocks are ahead of this computer's, milliseconds.
        by_ms: i64,
        /// How many agree on that.
        contacts: usize,
    },
    /// One of the two sides is wrong, and it can't be told which.
    Unclear {
        /// How far a contact's clock is ahead of this computer's, milliseconds.
        by_ms: i64,
    },
}

/// Judges by how far each contact's clock is ahead of this computer's. One contact is never
/// enough to call this computer's clock wrong: it could be its own.
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

/// Whether a difference is none.
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
    fn contacts_that_agree_tell_whose_clock_is_wrong() {
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
    fn one_contact_alone_does_not_convict_this_computer() {
        let by_ms = -72 * HOUR;
        assert_eq!(opinion(&[by_ms]), Opinion::Unclear { by_ms });
        // Two that say different things agree on nothing.
        let said = opinion(&[-72 * HOUR, 5 * HOUR]);
        assert!(matches!(said, Opinion::Unclear { .. }));
        // As many for us as against us.
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
