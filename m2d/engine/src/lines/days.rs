//! The UTC days of join tokens (`docs/spec/line.md#tokens`).

const DAY_MS: u64 = 86_400_000;
/// How long a line is open before and after its day, for callers whose clocks are wrong, in
/// milliseconds.
const LEEWAY_MS: u64 = 3_600_000;

/// The UTC days whose lines are open at a given time.
pub(super) struct Days {
    pub today: u32,
    /// Yesterday until 01:00, tomorrow from 23:00.
    pub adjacent: Option<u32>,
}

pub(super) fn days_around(now_ms: u64) -> Days {
    let today = day_of(now_ms);
    let of_day_ms = now_ms % DAY_MS;
    let adjacent = if of_day_ms < LEEWAY_MS {
        today.checked_sub(1)
    } else if of_day_ms >= DAY_MS - LEEWAY_MS {
        today.checked_add(1)
    } else {
        None
    };
    Days { today, adjacent }
}

/// Returns when the result of [`days_around`] next changes, in Unix milliseconds.
pub(super) fn next_change(now_ms: u64) -> u64 {
    let midnight = now_ms - now_ms % DAY_MS;
    let changes = [LEEWAY_MS, DAY_MS - LEEWAY_MS, DAY_MS];
    let mut changes = changes
        .map(|change| midnight.saturating_add(change))
        .into_iter();
    changes.find(|change| *change > now_ms).unwrap_or(u64::MAX)
}

/// Returns the UTC day of a Unix time in milliseconds, counted from 1970-01-01.
pub(crate) fn day_of(now_ms: u64) -> u32 {
    u32::try_from(now_ms / DAY_MS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_overlap_by_an_hour_on_both_sides() {
        let midnight = 20_000 * DAY_MS;
        let at = |offset: u64| {
            let days = days_around(midnight + offset);
            (days.today, days.adjacent)
        };
        assert_eq!(at(0), (20_000, Some(19_999)));
        assert_eq!(at(LEEWAY_MS - 1), (20_000, Some(19_999)));
        assert_eq!(at(LEEWAY_MS), (20_000, None));
        assert_eq!(at(DAY_MS - LEEWAY_MS - 1), (20_000, None));
        assert_eq!(at(DAY_MS - LEEWAY_MS), (20_000, Some(20_001)));
        assert_eq!(at(DAY_MS - 1), (20_000, Some(20_001)));
    }

    #[test]
    fn the_days_change_at_the_predicted_time() {
        let mut now = 20_000 * DAY_MS + 5;
        for _ in 0..9 {
            let next = next_change(now);
            let days = |at| (days_around(at).today, days_around(at).adjacent);
            assert_eq!(days(now), days(next - 1));
            assert_ne!(days(now), days(next));
            now = next;
        }
    }
}
