//! Repeated measurements of a duration.

use serde_json::{Value, json};
use std::time::Duration;

/// A set of measured durations.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds a duration.
    pub fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Adds all durations of another set.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Returns the number of durations.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the given percentile in milliseconds; NaN if the set is empty.
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).map_or(f64::NAN, ms)
    }

    /// Returns the mean in milliseconds; NaN if the set is empty.
    pub fn mean_ms(&self) -> f64 {
        let total: Duration = self.0.iter().sum();
        ms(&total) / self.0.len() as f64
    }

    pub(super) fn detail(&self) -> Value {
        json!({
            "n": self.count(),
            "p50_ms": self.percentile_ms(50),
            "p99_ms": self.percentile_ms(99),
            "mean_ms": self.mean_ms(),
        })
    }
}

fn ms(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut samples = Samples::default();
        assert!(samples.percentile_ms(50).is_nan());
        for number in (1..=100).rev() {
            samples.add(Duration::from_millis(number));
        }
        assert!((samples.percentile_ms(50) - 51.0).abs() < 1e-6);
        assert!((samples.percentile_ms(99) - 100.0).abs() < 1e-6);
    }
}
