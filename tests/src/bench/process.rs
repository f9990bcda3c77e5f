//! What the system says of a process.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

/// Switches so far of each thread of a process, voluntary and not.
///
/// Errors: it does not run, or this is no Linux.
pub(super) fn context_switches(pid: u32) -> anyhow::Result<BTreeMap<OsString, u64>> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("no /proc")? {
        let task = task?;
        // A thread may end meanwhile.
        let Ok(status) = fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        let switches = status
            .lines()
            .filter(|line| line.contains("ctxt_switches:"))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum();
        threads.insert(task.file_name(), switches);
    }
    Ok(threads)
}

/// Switches between two looks; what a thread did that ended meanwhile is not seen.
pub(super) fn switches_between(
    before: &BTreeMap<OsString, u64>,
    after: &BTreeMap<OsString, u64>,
) -> u64 {
    let since = |(thread, count): (&OsString, &u64)| {
        count.saturating_sub(before.get(thread).copied().unwrap_or(0))
    };
    after.iter().map(since).sum()
}

/// Processor time of a process so far, in clock ticks of 10 ms.
///
/// Errors: as above.
pub(super) fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("no /proc")?;
    // The name in parentheses may hold blanks; user and system time are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')').context("a strange stat")?;
    let times = rest.split_whitespace().skip(11).take(2);
    Ok(times.filter_map(|time| time.parse::<u64>().ok()).sum())
}
