//! systemd, by sd_notify(3). Without systemd a notification has no receiver.

use super::Notice;
use sd_notify::NotifyState;
use std::time::Duration;

/// Notifies systemd.
pub fn tell(notices: &[Notice]) {
    let mut states = Vec::new();
    for notice in notices {
        match notice {
            Notice::Ready => states.push(NotifyState::Ready),
            Notice::Status(text) => states.push(NotifyState::Status(text)),
            Notice::Stopping => states.push(NotifyState::Stopping),
            Notice::Watchdog => states.push(NotifyState::Watchdog),
            // systemd refuses the notification without the time.
            Notice::Reloading => match NotifyState::monotonic_usec_now() {
                Ok(now) => states.extend([NotifyState::Reloading, now]),
                Err(_) => return,
            },
        }
    }
    let _ = sd_notify::notify(&states);
}

/// Returns the timeout of the watchdog, if systemd has one for this process.
pub fn watchdog_timeout() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}
