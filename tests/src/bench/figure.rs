//! A measured value with its target.

use serde_json::{Value, json};

/// The bound that a figure should meet.
#[derive(Debug, Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
    None,
}

/// One line of the output.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    target: Target,
    detail: Value,
}

impl Figure {
    pub(super) fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self {
            name,
            value,
            unit,
            target: Target::None,
            detail: Value::Null,
        }
    }

    pub(super) fn at_most(mut self, target: f64) -> Self {
        self.target = Target::AtMost(target);
        self
    }

    pub(super) fn at_least(mut self, target: f64) -> Self {
        self.target = Target::AtLeast(target);
        self
    }

    pub(super) fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// Returns whether the value meets the target. A figure without a target is met.
    pub(super) fn met(&self) -> bool {
        match self.target {
            Target::AtMost(target) => self.value <= target,
            Target::AtLeast(target) => self.value >= target,
            Target::None => true,
        }
    }

    pub(super) fn json(&self) -> Value {
        let target = match self.target {
            Target::AtMost(target) => json!(format!("<= {target}")),
            Target::AtLeast(target) => json!(format!(">= {target}")),
            Target::None => Value::Null,
        };
        json!({
            "figure": self.name,
            "value": (self.value * 1_000.0).round() / 1_000.0,
            "unit": self.unit,
            "target": target,
            "ok": self.met(),
            "detail": self.detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_upper_or_lower_bounds() {
        assert!(Figure::new("a", 1.0, "ms").at_most(2.0).met());
        assert!(!Figure::new("a", 3.0, "ms").at_most(2.0).met());
        assert!(!Figure::new("a", 1.0, "1/s").at_least(2.0).met());
        assert!(Figure::new("a", 9.0, "ms").met());
    }
}
