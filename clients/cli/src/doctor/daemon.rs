//! Checks of what GetStatus tells: the daemon, clock, disk, permissions, key, store, backups and events.

use m2_proto::api::v1::{
    BackupStatus, ClockStatus, ConditionArea, ConditionSeverity, DaemonState, GetStatusResponse,
};
use m2_proto::wkt::Timestamp;

use super::check::{Area, Check, Outcome, size};
use crate::time;

/// A backup that is older than this, in days, is reported.
const OLD_DAYS: u64 = 14;
const DAY_MS: u64 = 86_400_000;
/// The command that makes a backup.
const BACK_UP: &str = "m2 backup create FILE";

/// Returns the checks of a status.
pub(super) fn judge(status: &GetStatusResponse, now_ms: u64) -> Vec<Check> {
    let mut checks = daemon(status);
    checks.extend(clock(status));
    checks.extend(disk(status));
    let permissions = "only the daemon's user has access to its files";
    checks.extend(or_ok(status, Area::Permissions, permissions));
    checks.extend(key(status));
    checks.extend(store(status));
    checks.extend(backup(status, now_ms));
    checks.extend(events(status));
    checks
}

/// Returns what the daemon itself reports for an area.
pub(super) fn reported(status: &GetStatusResponse, area: Area) -> Vec<Check> {
    let asked = condition_area(area);
    let conditions = status.conditions.iter();
    let conditions = conditions.filter(|one| one.area() == asked);
    let checks = conditions.map(|one| {
        let result = match one.severity() {
            ConditionSeverity::Problem => Outcome::Problem,
            _ => Outcome::Warning,
        };
        Check::new(area, result, &one.text).mended_by(&one.remedy)
    });
    checks.collect()
}

const fn condition_area(area: Area) -> ConditionArea {
    match area {
        Area::Daemon => ConditionArea::Daemon,
        Area::Clock => ConditionArea::Clock,
        Area::Disk => ConditionArea::Disk,
        Area::Permissions => ConditionArea::Permissions,
        Area::Key => ConditionArea::Key,
        Area::Store => ConditionArea::Store,
        Area::Backup => ConditionArea::Backup,
        Area::Events => ConditionArea::Events,
        Area::Peers => ConditionArea::Peers,
        Area::Relays => ConditionArea::Relays,
        Area::Boxes => ConditionArea::Mailboxes,
        // The daemon reports no conditions of these: other calls do.
        Area::Ports | Area::Privacy => ConditionArea::Unspecified,
    }
}

/// Returns what the daemon reports for an area, or that it is fine.
fn or_ok(status: &GetStatusResponse, area: Area, fine: impl Into<String>) -> Vec<Check> {
    let found = reported(status, area);
    match found.is_empty() {
        true => vec![Check::ok(area, fine)],
        false => found,
    }
}

fn is_locked(status: &GetStatusResponse) -> bool {
    status.state() == DaemonState::Locked
}

fn locked(area: Area) -> Vec<Check> {
    vec![Check::not_checked(area, "the daemon is locked")]
}

fn daemon(status: &GetStatusResponse) -> Vec<Check> {
    let mut checks = reported(status, Area::Daemon);
    match status.state() {
        DaemonState::Ready => {}
        DaemonState::Locked => {
            let text = "It is locked: nothing is sent or received until its identity is opened.";
            checks.push(Check::problem(Area::Daemon, text).mended_by("m2 unlock"));
        }
        _ => checks.push(Check::warning(Area::Daemon, "It is stopping.")),
    }
    let own = env!("CARGO_PKG_VERSION");
    if status.version != own {
        let text = format!(
            "m2d {} runs, and this is m2 {own}: restart the daemon after an update of both.",
            status.version
        );
        checks.push(Check::warning(Area::Daemon, text));
    }
    if checks.is_empty() {
        let since = time::local(status.started.as_ref());
        let text = format!("m2d {} is ready, since {since}", status.version);
        checks.push(Check::ok(Area::Daemon, text));
    }
    checks
}

fn clock(status: &GetStatusResponse) -> Vec<Check> {
    let found = reported(status, Area::Clock);
    let Some(clock) = &status.clock else {
        return locked(Area::Clock);
    };
    if !found.is_empty() {
        return found;
    }
    let check = match clock.ahead_ms {
        Some(ahead) => Check::ok(Area::Clock, compared(clock, ahead)),
        None => {
            let text = "no contact has stated its time since the daemon started";
            Check::not_checked(Area::Clock, text)
        }
    };
    vec![check]
}

fn compared(clock: &ClockStatus, ahead_ms: i64) -> String {
    let tenths = ahead_ms.unsigned_abs() / 100;
    let side = match ahead_ms < 0 {
        true => "behind",
        false => "ahead of",
    };
    let mut text = format!(
        "{}.{} s {side} the median of {} contacts",
        tenths / 10,
        tenths % 10,
        clock.compared
    );
    if clock.steps > 0 {
        text.push_str(&format!("; it was set {} times", clock.steps));
    }
    text
}

fn disk(status: &GetStatusResponse) -> Vec<Check> {
    let storage = status.storage.unwrap_or_default();
    let Some(free) = storage.free_bytes else {
        let found = reported(status, Area::Disk);
        let text = "the system does not report the free space";
        return match found.is_empty() {
            true => vec![Check::not_checked(Area::Disk, text)],
            false => found,
        };
    };
    let text = format!(
        "{} free; the store takes {}",
        size(free),
        size(storage.store_bytes)
    );
    or_ok(status, Area::Disk, text)
}

fn key(status: &GetStatusResponse) -> Vec<Check> {
    let text = match is_locked(status) {
        true => "it has a passphrase",
        false => "it opens, and has a passphrase",
    };
    or_ok(status, Area::Key, text)
}

fn store(status: &GetStatusResponse) -> Vec<Check> {
    if is_locked(status) {
        return locked(Area::Store);
    }
    or_ok(
        status,
        Area::Store,
        "it opens with the key, and no fault was met",
    )
}

fn events(status: &GetStatusResponse) -> Vec<Check> {
    if is_locked(status) {
        return locked(Area::Events);
    }
    or_ok(status, Area::Events, "no dead letters")
}

fn backup(status: &GetStatusResponse, now_ms: u64) -> Vec<Check> {
    let Some(backup) = &status.backup else {
        return locked(Area::Backup);
    };
    let found = reported(status, Area::Backup);
    if !found.is_empty() {
        return found;
    }
    vec![age_of_backup(backup, now_ms)]
}

fn age_of_backup(backup: &BackupStatus, now_ms: u64) -> Check {
    let Some(made) = &backup.made else {
        let text = "No backup was made: without one, a lost disk is a lost identity.";
        return Check::warning(Area::Backup, text).mended_by(BACK_UP);
    };
    let days = now_ms.saturating_sub(unix_ms(made)) / DAY_MS;
    if days > OLD_DAYS {
        let text = format!("The last backup was made {days} days ago.");
        return Check::warning(Area::Backup, text).mended_by(BACK_UP);
    }
    let rehearsed = match &backup.rehearsed {
        Some(at) => format!("restored for a test {}", time::local(Some(at))),
        None => "never restored for a test".to_owned(),
    };
    let text = format!("made {}, {rehearsed}", time::local(Some(made)));
    Check::ok(Area::Backup, text)
}

/// Returns a time in Unix milliseconds, 0 for one before 1970.
pub(super) fn unix_ms(time: &Timestamp) -> u64 {
    u64::try_from(time.to_utc().timestamp_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_proto::api::v1::{Condition, StorageStatus};

    const NOW: u64 = 1_800_000_000_000;

    fn healthy() -> GetStatusResponse {
        let at = |ms| Some(Timestamp::from_unix_millis(ms));
        GetStatusResponse {
            state: DaemonState::Ready.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            storage: Some(StorageStatus {
                free_bytes: Some(3 << 30),
                store_bytes: 1 << 20,
            }),
            clock: Some(ClockStatus {
                compared: 2,
                ahead_ms: Some(-1_250),
                steps: 1,
            }),
            backup: Some(BackupStatus {
                made: at(NOW - DAY_MS),
                rehearsed: at(NOW - DAY_MS),
                failed: None,
            }),
            ..GetStatusResponse::default()
        }
    }

    /// Returns the results and texts for an area.
    fn of(status: &GetStatusResponse, area: Area) -> Vec<(Outcome, String, String)> {
        let checks = judge(status, NOW).into_iter();
        let checks = checks.filter(|check| check.area == area);
        checks
            .map(|check| (check.result, check.text, check.remedy))
            .collect()
    }

    fn one(status: &GetStatusResponse, area: Area) -> (Outcome, String, String) {
        let mut found = of(status, area);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn a_healthy_daemon_has_a_value_in_each_area() {
        let status = healthy();
        let checks = judge(&status, NOW);
        assert_eq!(checks.len(), 8);
        assert!(checks.iter().all(|check| check.result == Outcome::Ok));
        assert!(checks.iter().all(|check| check.remedy.is_empty()));
        let (_, clock, _) = one(&status, Area::Clock);
        assert_eq!(
            clock,
            "1.2 s behind the median of 2 contacts; it was set 1 times"
        );
        let (_, disk, _) = one(&status, Area::Disk);
        assert_eq!(disk, "3.0 GiB free; the store takes 1.0 MiB");
    }

    #[test]
    fn a_locked_daemon_is_a_problem_and_the_rest_is_not_checked() {
        let status = GetStatusResponse {
            state: DaemonState::Locked.into(),
            clock: None,
            backup: None,
            ..healthy()
        };
        let (result, _, remedy) = one(&status, Area::Daemon);
        assert_eq!((result, remedy.as_str()), (Outcome::Problem, "m2 unlock"));
        for area in [Area::Clock, Area::Store, Area::Backup, Area::Events] {
            assert_eq!(one(&status, area).0, Outcome::NotChecked, "{area:?}");
        }
        for area in [Area::Disk, Area::Permissions, Area::Key] {
            assert_eq!(one(&status, area).0, Outcome::Ok, "{area:?}");
        }
    }

    #[test]
    fn what_the_daemon_reports_is_told_in_its_area() {
        for (area, result) in [
            (Area::Daemon, Outcome::Problem),
            (Area::Clock, Outcome::Problem),
            (Area::Disk, Outcome::Warning),
            (Area::Permissions, Outcome::Problem),
            (Area::Key, Outcome::Warning),
            (Area::Store, Outcome::Problem),
            (Area::Backup, Outcome::Problem),
            (Area::Events, Outcome::Warning),
        ] {
            let severity = match result {
                Outcome::Problem => ConditionSeverity::Problem,
                _ => ConditionSeverity::Warning,
            };
            let mut status = healthy();
            status.conditions.push(Condition {
                area: condition_area(area).into(),
                severity: severity.into(),
                text: "wrong".to_owned(),
                remedy: "mend".to_owned(),
            });
            let expected = (result, "wrong".to_owned(), "mend".to_owned());
            assert_eq!(one(&status, area), expected);
            let checks = judge(&status, NOW);
            let wrong = checks.iter().filter(|check| check.result != Outcome::Ok);
            assert_eq!(wrong.count(), 1, "{area:?}");
        }
    }

    #[test]
    fn a_daemon_of_another_version_and_one_that_stops_are_warnings() {
        let status = GetStatusResponse {
            version: "0.0.1".to_owned(),
            state: DaemonState::Stopping.into(),
            ..healthy()
        };
        let found = of(&status, Area::Daemon);
        assert!(found.iter().all(|(result, ..)| *result == Outcome::Warning));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_clock_that_no_contact_confirmed_is_not_checked() {
        let status = GetStatusResponse {
            clock: Some(ClockStatus::default()),
            ..healthy()
        };
        assert_eq!(one(&status, Area::Clock).0, Outcome::NotChecked);
    }

    #[test]
    fn a_missing_or_old_backup_is_a_warning_with_the_command() {
        let made = |ago_days: u64| Some(Timestamp::from_unix_millis(NOW - ago_days * DAY_MS));
        for (made, told) in [(None, "No backup"), (made(OLD_DAYS + 1), "15 days ago")] {
            let backup = Some(BackupStatus {
                made,
                ..BackupStatus::default()
            });
            let status = GetStatusResponse {
                backup,
                ..healthy()
            };
            let (result, text, remedy) = one(&status, Area::Backup);
            assert_eq!((result, remedy.as_str()), (Outcome::Warning, BACK_UP));
            assert!(text.contains(told), "{text}");
        }
        let backup = Some(BackupStatus {
            made: made(OLD_DAYS),
            ..BackupStatus::default()
        });
        let status = GetStatusResponse {
            backup,
            ..healthy()
        };
        let (result, text, _) = one(&status, Area::Backup);
        assert_eq!(result, Outcome::Ok);
        assert!(text.contains("never restored"), "{text}");
    }
}
