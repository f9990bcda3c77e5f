//! What became of backups: recorded as front-ends report it, for status output.

use crate::refusal::Refusal;
use crate::state::State;
use crate::warning::{Area, Warning};
use m2_store::StoreError;

/// The settings that record when something last happened, in Unix milliseconds.
const MADE: &str = "backup made";
const REHEARSED: &str = "backup rehearsed";
const FAILED: &str = "backup failed";

/// What became of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupOutcome {
    /// It is on a disk and was verified.
    Kept,
    /// It was restored for a test.
    Rehearsed,
    /// It was not made or not kept, or it could not be restored for a test.
    Failed,
}

/// When backups were reported, in Unix milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupTimes {
    /// When the last one was kept.
    pub made_ms: Option<u64>,
    /// When one was last restored for a test.
    pub rehearsed_ms: Option<u64>,
    /// When one failed, unless a later one succeeded.
    pub failed_ms: Option<u64>,
}

/// Records what became of a backup. A success ends the warning about an earlier failure; a rehearsal that fails is
/// reported after the backup itself.
pub(crate) fn report(engine: &mut State, outcome: BackupOutcome) -> Result<(), Refusal> {
    let key = match outcome {
        BackupOutcome::Kept => MADE,
        BackupOutcome::Rehearsed => REHEARSED,
        BackupOutcome::Failed => FAILED,
    };
    let now = i64::try_from(engine.batch.now_ms()).unwrap_or(i64::MAX);
    engine.batch.store.set_number(key, now)?;
    if outcome != BackupOutcome::Failed {
        engine.batch.store.set_number(FAILED, 0)?;
    }
    Ok(())
}

/// Returns when backups were reported.
pub(crate) fn times(engine: &State) -> Result<BackupTimes, StoreError> {
    let at = |key| -> Result<Option<u64>, StoreError> {
        let found = engine.batch.store.number(key)?;
        Ok(found
            .and_then(|ms| u64::try_from(ms).ok())
            .filter(|ms| *ms > 0))
    };
    Ok(BackupTimes {
        made_ms: at(MADE)?,
        rehearsed_ms: at(REHEARSED)?,
        failed_ms: at(FAILED)?,
    })
}

/// Returns the warning about a backup that failed.
pub(crate) fn warning(engine: &State) -> Result<Option<Warning>, StoreError> {
    let failed = times(engine)?.failed_ms;
    Ok(failed.map(|_| {
        Warning::problem(
            Area::Backup,
            "The last backup failed: it was not made, or it could not be restored for a test. `systemctl status \
             m2-backup.service` has the reason if the timer made it. Make one with `m2 backup create`.",
        )
        .mended_by("m2 backup create FILE")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::engine;

    #[test]
    fn a_failure_is_reported_until_a_backup_succeeds() {
        let (_dir, mut engine) = engine();
        let state = &mut engine.state;
        assert_eq!(times(state).unwrap(), BackupTimes::default());
        assert_eq!(warning(state).unwrap(), None);

        report(state, BackupOutcome::Kept).unwrap();
        report(state, BackupOutcome::Failed).unwrap();
        let found = times(state).unwrap();
        assert!(found.made_ms.is_some() && found.failed_ms.is_some());
        let told = warning(state).unwrap().unwrap();
        assert!(told.is_problem && told.text.contains("systemctl status m2-backup.service"));

        report(state, BackupOutcome::Rehearsed).unwrap();
        let found = times(state).unwrap();
        assert!(found.rehearsed_ms.is_some() && found.failed_ms.is_none());
        assert_eq!(warning(state).unwrap(), None);
    }
}
