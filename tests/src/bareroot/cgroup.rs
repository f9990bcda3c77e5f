//! A control group for a system of its own, which systemd divides further.

use anyhow::Context as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// Removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// Creates a group below the top of the version 2 hierarchy.
    ///
    /// Errors: there is no such hierarchy, or it can't be changed.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let top = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find_map(|fields| match fields.as_slice() {
                [_, place, "cgroup2", ..] => Some(PathBuf::from(place)),
                _ => None,
            });
        let group = top.context("no cgroup2 is mounted")?.join(name);
        fs::create_dir(&group).with_context(|| group.display().to_string())?;
        Ok(Self(group))
    }

    /// Returns the file to which a process writes its id to join.
    pub(crate) fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel needs a moment until the killed processes are gone.
        for _ in 0..100 {
            if remove(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
    }
}

/// Removes a group with those in it. The files in a group are not removable.
fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
