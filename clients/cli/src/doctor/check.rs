//! The result of one check.

use serde::Serialize;

/// The width of the column of results.
pub(super) const WIDEST_RESULT: usize = 11;
/// The width of the column of areas.
pub(super) const WIDEST_AREA: usize = 11;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was checked.
    pub area: Area,
    /// The result.
    pub result: Outcome,
    /// The value, or what is wrong.
    pub text: String,
    /// A command or a setting that mends it; empty if none does or none is needed.
    pub remedy: String,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Area {
    Daemon,
    Clock,
    Ports,
    Disk,
    Permissions,
    Key,
    Store,
    Backup,
    Events,
    Peers,
    Relays,
    Boxes,
    Privacy,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Ok,
    /// Everything works, but not as well or as safely as it could.
    Warning,
    /// Something does not work, or secrets are exposed.
    Problem,
    NotChecked,
}

impl Check {
    pub(super) fn ok(area: Area, text: impl Into<String>) -> Self {
        Self::new(area, Outcome::Ok, text)
    }

    pub(super) fn warning(area: Area, text: impl Into<String>) -> Self {
        Self::new(area, Outcome::Warning, text)
    }

    pub(super) fn problem(area: Area, text: impl Into<String>) -> Self {
        Self::new(area, Outcome::Problem, text)
    }

    pub(super) fn not_checked(area: Area, text: impl Into<String>) -> Self {
        Self::new(area, Outcome::NotChecked, text)
    }

    /// Returns the check with what mends the condition.
    pub(super) fn mended_by(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(super) fn new(area: Area, result: Outcome, text: impl Into<String>) -> Self {
        Self {
            area,
            result,
            text: text.into(),
            remedy: String::new(),
        }
    }
}

impl Area {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Clock => "clock",
            Self::Ports => "ports",
            Self::Disk => "disk",
            Self::Permissions => "permissions",
            Self::Key => "key",
            Self::Store => "store",
            Self::Backup => "backup",
            Self::Events => "events",
            Self::Peers => "peers",
            Self::Relays => "relays",
            Self::Boxes => "boxes",
            Self::Privacy => "privacy",
        }
    }
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::NotChecked => "not checked",
        }
    }
}

/// Formats a number of bytes.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1_024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_largest_suitable_unit() {
        assert_eq!(size(0), "0.0 KiB");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(64 << 20), "64.0 MiB");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn the_json_names_are_those_of_the_lines() {
        let check = Check::not_checked(Area::Boxes, "x");
        let json = serde_json::to_string(&check).unwrap();
        assert_eq!(
            json,
            r#"{"area":"boxes","result":"not-checked","text":"x","remedy":""}"#
        );
    }
}
