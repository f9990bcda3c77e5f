//! Tests whether bytes on the wire can be distinguished from random ones.
//!
//! The thresholds are bounds that hold for every number of samples, not quantiles of an
//! approximation: the bound of Laurent and Massart for chi-square, Hoeffding's for bits, a union
//! bound for repeated bytes. So the probability of a false alarm is at most one in a million per
//! test run.

use std::fmt;

/// The maximum probability that one call finds a skew in uniformly random bytes.
const FALSE_ALARM: f64 = 1e-6;

/// Number of bytes that are also tested by their distance from the end: the tag and more.
const FROM_END: usize = 32;

/// Number of tests per position: one chi-square test, and one for each bit.
const TESTS_A_PLACE: usize = 9;

/// A deviation from randomness at one position.
#[derive(Debug, Clone, PartialEq)]
pub struct Skew {
    /// The byte's distance from the start or the end, counted from 0.
    pub place: usize,
    /// True if the position is counted from the end.
    pub from_end: bool,
    /// Number of datagrams that have a byte at this position.
    pub samples: usize,
    /// A description of the deviation.
    pub what: String,
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.from_end { "end" } else { "start" };
        write!(
            f,
            "byte {} from the {side}, {} datagrams: {}",
            self.place, self.samples, self.what
        )
    }
}

/// Tests every position that at least `enough` datagrams have: its 256 values by chi-square, its
/// bits for bias.
pub fn skewed(datagrams: &[&[u8]], enough: usize) -> Vec<Skew> {
    let columns = columns(datagrams, enough);
    let chance = FALSE_ALARM / (columns.len() * TESTS_A_PLACE).max(1) as f64;
    let mut found = Vec::new();
    for column in &columns {
        let (statistic, limit) = (chi_square(&column.values), chi_square_limit(chance));
        if statistic > limit {
            found.push(column.skew(format!("chi-square {statistic:.0}, at most {limit:.0}")));
        }
        found.extend(column.biased_bits(chance));
    }
    found
}

/// Tests every position that all datagrams have for a byte value that occurs too often. Suited to
/// small samples.
pub fn repeated(datagrams: &[&[u8]]) -> Vec<Skew> {
    let columns = columns(datagrams, datagrams.len());
    let chance = FALSE_ALARM / columns.len().max(1) as f64;
    let limit = repeat_limit(datagrams.len(), chance);
    let most = |column: &Column| counts(&column.values).into_iter().max().unwrap_or(0);
    columns
        .iter()
        .filter(|column| most(column) > limit)
        .map(|column| column.skew(format!("one value {} times", most(column))))
        .collect()
}

/// The bytes of all datagrams at one position.
struct Column {
    place: usize,
    from_end: bool,
    values: Vec<u8>,
}

impl Column {
    fn skew(&self, what: String) -> Skew {
        Skew {
            place: self.place,
            from_end: self.from_end,
            samples: self.values.len(),
            what,
        }
    }

    fn biased_bits(&self, chance: f64) -> Vec<Skew> {
        let samples = self.values.len() as f64;
        // Hoeffding: P(|share - 1/2| >= t) <= 2 exp(-2 n t²).
        let limit = ((2.0 / chance).ln() / (2.0 * samples)).sqrt();
        (0..8_u32)
            .filter_map(|bit| {
                let set = self.values.iter().filter(|byte| **byte >> bit & 1 == 1);
                let share = set.count() as f64 / samples;
                let biased = (share - 0.5).abs() > limit;
                biased.then(|| self.skew(format!("bit {bit} is set in {share:.3}")))
            })
            .collect()
    }
}

fn columns(datagrams: &[&[u8]], enough: usize) -> Vec<Column> {
    let longest = datagrams.iter().map(|bytes| bytes.len()).max();
    let from_start = (0..longest.unwrap_or(0)).map(|place| (place, false));
    let from_end = (0..FROM_END).map(|place| (place, true));
    from_start
        .chain(from_end)
        .map(|(place, from_end)| Column {
            place,
            from_end,
            values: column(datagrams, place, from_end),
        })
        .filter(|column| column.values.len() >= enough.max(1))
        .collect()
}

fn column(datagrams: &[&[u8]], place: usize, from_end: bool) -> Vec<u8> {
    let byte = |bytes: &&[u8]| {
        let place = if from_end {
            bytes.len().checked_sub(place + 1)?
        } else {
            place
        };
        bytes.get(place).copied()
    };
    datagrams.iter().filter_map(byte).collect()
}

fn counts(values: &[u8]) -> [usize; 256] {
    let mut counts = [0; 256];
    for value in values {
        if let Some(count) = counts.get_mut(usize::from(*value)) {
            *count += 1;
        }
    }
    counts
}

fn chi_square(values: &[u8]) -> f64 {
    let expected = values.len() as f64 / 256.0;
    let square = |count: usize| (count as f64 - expected).powi(2) / expected;
    counts(values).into_iter().map(square).sum()
}

/// Returns the bound of Laurent and Massart: P(X >= k + 2 √(k x) + 2 x) <= exp(-x) with k degrees
/// of freedom.
fn chi_square_limit(chance: f64) -> f64 {
    const FREEDOM: f64 = 255.0;
    let x = (1.0 / chance).ln();
    FREEDOM + 2.0 * (FREEDOM * x).sqrt() + 2.0 * x
}

/// Returns how often one value may occur: P(some value more than k times) <= 256 C(n, k+1) /
/// 256^(k+1).
fn repeat_limit(samples: usize, chance: f64) -> usize {
    let mut probability = 256.0;
    for count in 1..=samples {
        probability *= (samples - count + 1) as f64 / count as f64 / 256.0;
        if probability < chance {
            return count - 1;
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::super::Noise;
    use super::*;

    fn noise(count: usize) -> Vec<Vec<u8>> {
        let mut noise = Noise::new(7);
        (0..count).map(|_| noise.bytes(40)).collect()
    }

    fn slices(datagrams: &[Vec<u8>]) -> Vec<&[u8]> {
        datagrams.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn noise_has_no_skew() {
        let noise = noise(2_000);
        assert_eq!(skewed(&slices(&noise), 1_000), []);
        let some = noise.get(..20).unwrap_or_default();
        assert_eq!(repeated(&slices(some)), []);
    }

    #[test]
    fn a_biased_bit_is_found() {
        let mut datagrams = noise(2_000);
        for bytes in datagrams.iter_mut().step_by(3) {
            if let Some(byte) = bytes.get_mut(5) {
                *byte |= 4;
            }
        }
        let found = skewed(&slices(&datagrams), 1_000);
        assert!(found.iter().any(|skew| skew.what.starts_with("bit 2")));
        assert!(found.iter().all(|skew| skew.place == 5 || skew.from_end));
    }

    #[test]
    fn a_constant_byte_is_found_in_few_datagrams() {
        let mut datagrams = noise(12);
        for bytes in &mut datagrams {
            if let Some(byte) = bytes.get_mut(9) {
                *byte = 0x4d;
            }
        }
        let found = repeated(&slices(&datagrams));
        assert!(found.iter().any(|skew| skew.place == 9));
    }
}
