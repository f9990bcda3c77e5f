//! The limit on open file descriptors of the process.

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The requested limit: far above the daemon's needs, but bounded.
const WANTED: u64 = 65_536;

/// Returns what front-ends may assume: Windows limits handles by memory alone.
#[cfg(windows)]
pub fn raise_limit() -> u64 {
    WANTED
}

/// Raises the soft limit on open file descriptors towards the hard limit. Returns the resulting
/// soft limit.
#[cfg(unix)]
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = raised(limit.current, limit.maximum);
    let asked = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    if limit.current.is_some_and(|current| wanted > current)
        && let Err(error) = setrlimit(Resource::Nofile, asked)
    {
        tracing::warn!(%error, "the limit on open file descriptors can't be raised");
        return limit.current.unwrap_or(wanted);
    }
    wanted
}

/// Returns the soft limit to request. `None` means unlimited.
#[cfg(unix)]
fn raised(soft: Option<u64>, hard: Option<u64>) -> u64 {
    let soft = soft.unwrap_or(u64::MAX);
    soft.max(hard.unwrap_or(u64::MAX).min(WANTED))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_within_the_hard_one_and_never_lowered() {
        assert_eq!(raised(Some(1_024), Some(4_096)), 4_096);
        assert_eq!(raised(Some(1_024), Some(1_048_576)), WANTED);
        assert_eq!(raised(Some(1_024), None), WANTED);
        assert_eq!(raised(Some(524_288), Some(524_288)), 524_288);
        assert_eq!(raised(Some(64), Some(64)), 64);
    }
}
