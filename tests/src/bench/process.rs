//! Statistics of a process from `/proc`.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

/// Returns the number of context switches of each thread so far, voluntary and involuntary.
///
/// Errors: the process is not running, or the system is not Linux.
pub(super) fn context_switches(pid: u32) -> anyhow::Result<BTreeMap<OsString, u64>> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("no /proc")? {
        let task = task?;
        // A thread may end in the meantime.
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

/// Returns the number of context switches between two readings. Those of threads that ended in
/// between are not counted.
pub(super) fn switches_between(
    before: &BTreeMap<OsString, u64>,
    after: &BTreeMap<OsString, u64>,
) -> u64 {
    let since = |(thread, count): (&OsString, &u64)| {
        count.saturating_sub(before.get(thread).copied().unwrap_or(0))
    };
    after.iter().map(since).sum()
}

/// Returns the CPU time of a process so far, in clock ticks of 10 ms.
///
/// Errors: the process is not running, or the system is not Linux.
pub(super) fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let [user, system] = ticks(pid)?;
    Ok(user + system)
}

/// Returns the CPU time of a process in user mode so far, in clock ticks of 10 ms.
///
/// Errors: as [`cpu_ticks`].
pub(super) fn user_ticks(pid: u32) -> anyhow::Result<u64> {
    Ok(ticks(pid)?[0])
}

fn ticks(pid: u32) -> anyhow::Result<[u64; 2]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("no /proc")?;
    // The name in parentheses may contain spaces; user and system time are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')').context("stat is malformed")?;
    let mut times = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    let mut next = || times.next().context("stat is too short");
    Ok([next()??, next()??])
}
