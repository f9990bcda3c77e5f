//! The service manager that runs the daemon: what it is told, and when its watchdog is fed.

mod watchdog;

pub use watchdog::{Step, Watchdog};

use sd_notify::NotifyState;

/// Notifies systemd. Without systemd the notification has no receiver.
pub fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// Notifies systemd that a reload begins. It ends with [`NotifyState::Ready`].
pub fn tell_reloading() {
    // systemd refuses the notification without the time.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}
