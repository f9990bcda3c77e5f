//! The timer's backup: made, verified, restored for a test, rotated; a failure is visible everywhere.

use crate::machine::{Machine, packaging};

const UNIT: &str = "m2-backup.service";
const TIMER: &str = "m2-backup.timer";
const LIST: &str = "ls /var/backups/m2d";

/// Boots a machine with the directories of the packages, and with the passphrase of the backups.
async fn boot() -> Option<Machine> {
    let machine = Machine::boot().await?;
    let places = packaging("tmpfiles.d/m2d.conf");
    machine.run(&["systemd-tmpfiles", "--create", places.to_str().unwrap()]);
    machine.sh("mkdir -p -m 700 /etc/credstore");
    machine.sh("umask 077; echo hush > /etc/credstore/m2-backup-passphrase");
    machine.run(&["systemctl", "start", "m2d.service"]);
    Some(machine)
}

#[tokio::test]
async fn the_timers_backup_is_made_rehearsed_and_rotated() {
    let Some(machine) = boot().await else {
        return;
    };
    machine.write("/etc/m2d/backup.env", "M2_BACKUP_KEEP=2\n");
    let before = machine.run(&["m2", "doctor"]);
    assert!(before.contains("No backup was made"), "{before}");
    machine.run(&["systemctl", "start", UNIT]);
    // Older backups of the series, and another file.
    machine.sh("cd /var/backups/m2d && new=$(ls) && for day in 01 02; do \
         cp -p $new m2-2026-11-${day}T000000Z.backup; done && echo mine > m2-notes.txt");
    machine.sh("sleep 1.1");
    machine.run(&["systemctl", "start", UNIT]);
    assert_eq!(machine.show(UNIT, "Result"), "success");
    let left = machine.sh(LIST);
    let left: Vec<&str> = left.lines().collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains(&"m2-notes.txt") && !left.iter().any(|it| it.contains("2026-11-0")));
    let modes = machine.sh("stat -c '%a %U' /var/backups/m2d /var/backups/m2d/*.backup");
    assert_eq!(modes, "700 m2d\n600 m2d\n600 m2d\n");
    let doctor = machine.run(&["m2", "doctor"]);
    assert!(doctor.contains("restored for a test"), "{doctor}");
    // Nothing of the rehearsal remains, and the backup opens.
    machine.sh("! ls /var/tmp | grep m2-backup");
    let log = machine.log();
    assert!(
        log.contains("its key opens, and its store is whole"),
        "{log}"
    );
    machine.sh(
        "m2 backup verify --passphrase-file /etc/credstore/m2-backup-passphrase \
         \"$(ls -d /var/backups/m2d/*.backup | tail -n 1)\"",
    );
    assert_eq!(machine.show(TIMER, "Triggers"), UNIT);
    assert_eq!(machine.show(TIMER, "LoadState"), "loaded");
}

#[tokio::test]
async fn a_backup_that_fails_is_visible_and_deletes_nothing() {
    let Some(machine) = boot().await else {
        return;
    };
    machine.write("/etc/m2d/backup.env", "M2_BACKUP_KEEP=1\n");
    machine.run(&["systemctl", "start", UNIT]);
    let good = machine.sh(LIST);
    // A rehearsal that fails: the program that restores is another one.
    machine.sh("mv /usr/local/bin/m2d /usr/local/bin/real && ln -s /bin/false /usr/local/bin/m2d");
    machine.sh("sleep 1.1");
    let failed = machine.output(&["systemctl", "start", UNIT]).unwrap();
    assert!(!failed.status.success());
    assert_eq!(machine.show(UNIT, "Result"), "exit-code");
    assert!(
        machine.log().contains("could not be restored"),
        "{}",
        machine.log()
    );
    let left = machine.sh(LIST);
    assert!(left.contains(good.trim()), "{left}");
    assert!(left.contains("m2-failed.backup"), "{left}");
    let status = machine.run(&["m2", "status"]);
    assert!(status.contains("The last backup failed"), "{status}");
    let doctor = machine.output(&["m2", "doctor"]).unwrap();
    assert_eq!(doctor.status.code(), Some(1));
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(told.contains("systemctl status m2-backup"), "{told}");

    machine.sh("mv /usr/local/bin/real /usr/local/bin/m2d");
    machine.run(&["systemctl", "start", UNIT]);
    let status = machine.run(&["m2", "status"]);
    assert!(!status.contains("backup failed"), "{status}");
    assert_eq!(machine.sh("ls /var/backups/m2d/m2-2* | wc -l").trim(), "1");

    // Without the passphrase no backup is made.
    machine.sh("rm /etc/credstore/m2-backup-passphrase");
    let failed = machine.output(&["systemctl", "start", UNIT]).unwrap();
    assert!(!failed.status.success());
    let status = machine.run(&["m2", "status"]);
    assert!(status.contains("The last backup failed"), "{status}");
}
