//! The conditions of GetStatus that the parts outside of the engine report.

use super::session::{ApiState, Ready};
use crate::log;
use m2_backup::exposure::quoted;
use m2_engine::{Area, Warning};
use m2_mailbox::server::ServerHealth;
use m2_proto::api::v1::{Condition, ConditionArea, ConditionSeverity, GetStatusResponse};
use m2_sqlite::Fault;
use std::path::Path;
use std::time::Instant;

/// The free space in bytes below which the user is warned.
const LOW_BYTES: u64 = 64 << 20;

/// Returns the warnings that a locked daemon has as well: connections, reloads, permissions.
pub(super) fn of_daemon(state: &ApiState) -> Vec<Warning> {
    let connections = state.connections.warnings(Instant::now());
    let reloads = state.reloaded.warnings();
    let check = "m2d check-config";
    connections
        .into_iter()
        .map(|text| Warning::problem(Area::Daemon, text))
        .chain(reloads.into_iter().map(|text| {
            let warning = Warning::problem(Area::Daemon, text);
            warning.mended_by(check)
        }))
        .chain(state.files.warnings())
        .collect()
}

/// Returns the warnings about the parts of an open daemon.
pub(super) fn of_parts(ready: &Ready) -> Vec<Warning> {
    let fault = ready.readers.store().health().fault();
    let tasks = ready.tasks.warnings().into_iter();
    fault
        .map(|fault| of_fault(fault, ""))
        .into_iter()
        .chain(tasks.map(|text| Warning::problem(Area::Daemon, text)))
        .chain(of_panics(log::panics()))
        .collect()
}

/// Returns the warning about a disk that is nearly full. Small writes may still fit, so the store may show no fault.
pub(super) fn of_disk(state: &ApiState) -> Option<Warning> {
    let store = state.ready().ok().map(|ready| ready.readers.store());
    let fault = store.and_then(|store| store.health().fault());
    let free = state.files.free_bytes();
    let low = free.filter(|free| *free < LOW_BYTES && fault != Some(Fault::Full));
    low.map(|free| low_disk(free, state.files.data_dir()))
}

fn of_panics(panics: u64) -> Option<Warning> {
    (panics > 0).then(|| {
        let text = format!(
            "The daemon recovered from {panics} internal errors. Its log says where: report it."
        );
        Warning::problem(Area::Daemon, text).mended_by("m2 bugreport")
    })
}

/// Returns the warning about a fault of a store, after a text that names the store if it is not the daemon's own.
fn of_fault(fault: Fault, whose: &str) -> Warning {
    let area = match fault {
        Fault::Full => Area::Disk,
        _ if whose.is_empty() => Area::Store,
        _ => Area::Mailboxes,
    };
    let warning = Warning::problem(area, format!("{whose}{}", fault.warning()));
    match fault {
        Fault::Full => warning.mended_by("df -h"),
        Fault::Damaged => warning.mended_by("m2d check"),
        _ => warning,
    }
}

fn low_disk(free_bytes: u64, data_dir: &Path) -> Warning {
    let show = format!("df -h {}", quoted(data_dir));
    let warning = match free_bytes >> 20 {
        0 => Warning::problem(
            Area::Disk,
            "The disk that holds the data directory is full or has less than 1 MiB left: new \
             messages may not be stored. Make room; the daemon continues by itself.",
        ),
        mib => Warning::new(
            Area::Disk,
            format!(
                "The disk that holds the data directory has {mib} MiB left. Make room before it is \
                 full: then nothing is stored any more."
            ),
        ),
    };
    warning.mended_by(show)
}

/// Returns the warning about the store of the mailboxes that this daemon keeps for others.
pub(super) fn of_mailbox(health: &ServerHealth) -> Option<Warning> {
    match (health.fault, health.totals) {
        (Some(fault), _) => Some(of_fault(fault, "Mailbox for others: ")),
        (None, None) => Some(Warning::problem(
            Area::Mailboxes,
            "Mailbox for others: its store does not answer, and owners and depositors are sent \
             away. The daemon's log says why.",
        )),
        (None, Some(_)) => None,
    }
}

/// Puts the warnings into a response, as sentences and as conditions.
pub(super) fn put(response: &mut GetStatusResponse, warnings: Vec<Warning>) {
    response.warnings = warnings
        .iter()
        .map(|warning| warning.text.clone())
        .collect();
    response.conditions = warnings.into_iter().map(condition).collect();
}

fn condition(warning: Warning) -> Condition {
    let severity = match warning.is_problem {
        true => ConditionSeverity::Problem,
        false => ConditionSeverity::Warning,
    };
    Condition {
        area: area(warning.area).into(),
        severity: severity.into(),
        text: warning.text,
        remedy: warning.remedy,
    }
}

const fn area(area: Area) -> ConditionArea {
    match area {
        Area::Daemon => ConditionArea::Daemon,
        Area::Clock => ConditionArea::Clock,
        Area::Disk => ConditionArea::Disk,
        Area::Permissions => ConditionArea::Permissions,
        Area::Key => ConditionArea::Key,
        Area::Store => ConditionArea::Store,
        Area::Backup => ConditionArea::Backup,
        Area::Peers => ConditionArea::Peers,
        Area::Relays => ConditionArea::Relays,
        Area::Mailboxes => ConditionArea::Mailboxes,
        Area::Events => ConditionArea::Events,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_the_area_of_its_store_and_a_remedy_if_there_is_one() {
        let full = of_fault(Fault::Full, "");
        assert_eq!((full.area, full.remedy.as_str()), (Area::Disk, "df -h"));
        let damaged = of_fault(Fault::Damaged, "");
        let expected = (Area::Store, "m2d check");
        assert_eq!((damaged.area, damaged.remedy.as_str()), expected);
        let others = of_fault(Fault::Io, "Mailbox for others: ");
        assert_eq!(others.area, Area::Mailboxes);
        assert!(others.text.starts_with("Mailbox for others: The disk"));
    }

    #[test]
    fn a_disk_is_a_problem_when_nothing_fits_and_a_warning_before() {
        let path = Path::new("/var/lib/m2d");
        let (none, some) = (low_disk(1_000, path), low_disk(9 << 20, path));
        assert!(none.is_problem && !some.is_problem);
        assert!(some.text.contains("has 9 MiB left"), "{}", some.text);
        assert_eq!(some.remedy, "df -h /var/lib/m2d");
    }

    #[test]
    fn sentences_and_conditions_say_the_same_in_the_same_order() {
        let mut response = GetStatusResponse::default();
        let warnings = vec![
            Warning::new(Area::Clock, "a").mended_by("b"),
            Warning::problem(Area::Events, "c"),
        ];
        put(&mut response, warnings);
        let texts = response.conditions.iter().map(|one| one.text.clone());
        assert_eq!(texts.collect::<Vec<_>>(), response.warnings);
        let first = &response.conditions[0];
        assert_eq!(
            (first.area(), first.remedy.as_str()),
            (ConditionArea::Clock, "b")
        );
        assert_eq!(first.severity(), ConditionSeverity::Warning);
        assert_eq!(
            response.conditions[1].severity(),
            ConditionSeverity::Problem
        );
    }
}
