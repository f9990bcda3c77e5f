//! The period in which a token is valid (docs/spec/mailbox.md#tokens).

/// The length of a period, in seconds: four weeks.
pub const PERIOD_S: u64 = 28 * DAY_S;

const DAY_S: u64 = 24 * 3_600;

/// How long before its start a provider accepts a period, in seconds: one day, for owners whose
/// clocks are ahead.
const AHEAD_S: u64 = DAY_S;

/// How long after the last valid second of a token its spent mark is kept, in seconds: one day.
const MARK_KEPT_S: u64 = DAY_S;

/// How long after the last valid second of a token its one-time key is kept at most, in seconds:
/// 8 days. A letter stays in its box for 7 days.
const KEY_KEPT_S: u64 = 8 * DAY_S;

/// A period of four weeks, counted from 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period(u16);

impl Period {
    /// Returns the period with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the period in which `now_s` lies, Unix time in seconds. Times after the last period,
    /// number 65,535, lie in that one.
    pub fn at(now_s: u64) -> Self {
        Self(u16::try_from(now_s / PERIOD_S).unwrap_or(u16::MAX))
    }

    /// Returns the number, as in a token.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Returns whether a provider accepts tokens of this period at `now_s`, Unix time in seconds:
    /// from one day before the period starts, and until the following period ends.
    pub fn is_valid_at(self, now_s: u64) -> bool {
        (self.start_s().saturating_sub(AHEAD_S)..self.valid_until_s()).contains(&now_s)
    }

    /// Returns the start, Unix time in seconds.
    pub fn start_s(self) -> u64 {
        u64::from(self.0) * PERIOD_S
    }

    /// Returns the end of the following period, Unix time in seconds. From then on no provider
    /// accepts a token of this period.
    pub fn valid_until_s(self) -> u64 {
        self.start_s() + 2 * PERIOD_S
    }

    /// Returns the time until which a provider keeps the spent mark of a token, Unix time in
    /// seconds: one day after the token's last valid second.
    pub fn mark_kept_until_s(self) -> u64 {
        self.valid_until_s() + MARK_KEPT_S
    }

    /// Returns the time at which the owner erases the one-time key of a token at the latest, Unix
    /// time in seconds: 8 days after the token's last valid second.
    pub fn key_kept_until_s(self) -> u64 {
        self.valid_until_s() + KEY_KEPT_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START_S: u64 = 700 * PERIOD_S;

    #[test]
    fn a_period_is_valid_from_a_day_before_it_until_the_next_one_ends() {
        let period = Period::at(START_S);
        assert_eq!(period.number(), 700);
        assert_eq!(period.start_s(), START_S);
        assert!(!period.is_valid_at(START_S - DAY_S - 1));
        assert!(period.is_valid_at(START_S - DAY_S));
        assert!(period.is_valid_at(START_S + 2 * PERIOD_S - 1));
        assert!(!period.is_valid_at(START_S + 2 * PERIOD_S));
    }

    #[test]
    fn marks_and_keys_outlive_the_tokens() {
        let period = Period::new(700);
        assert_eq!(period.mark_kept_until_s(), START_S + 57 * DAY_S);
        assert_eq!(period.key_kept_until_s(), START_S + 64 * DAY_S);
    }

    #[test]
    fn the_first_and_the_last_period_have_no_overflow() {
        assert!(Period::new(0).is_valid_at(0));
        assert!(!Period::new(u16::MAX).is_valid_at(0));
        assert_eq!(Period::at(u64::MAX).number(), u16::MAX);
        assert!(!Period::at(u64::MAX).is_valid_at(u64::MAX));
        assert!(Period::new(u16::MAX).key_kept_until_s() > Period::new(u16::MAX).start_s());
    }

    proptest! {
        #[test]
        fn two_periods_are_valid_and_a_third_on_the_last_day(now_s in PERIOD_S..60_000 * PERIOD_S) {
            let current = Period::at(now_s).number();
            let valid: Vec<u16> = (current - 1..=current + 2)
                .filter(|number| Period::new(*number).is_valid_at(now_s))
                .collect();
            let last_day = now_s % PERIOD_S >= PERIOD_S - DAY_S;
            let expected = if last_day { current + 1 } else { current };
            prop_assert_eq!(valid, (current - 1..=expected).collect::<Vec<_>>());
        }
    }
}
