//! What the system says of a process.

use anyhow::Context as _;
use std::fs;

/// Switches of all threads of a process so far, voluntary and not.
///
/// Errors: it does not run, or this is no Linux.
pub(super) fn context_switches(pid: u32) -> anyhow::Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("no /proc")? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        total += status
            .lines()
            .filter(|line| line.contains("ctxt_switches:"))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum::<u64>();
    }
    Ok(total)
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
