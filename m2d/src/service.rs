//! The service manager that runs the daemon: what it is told, and when its watchdog is fed.

#[cfg(windows)]
mod install;
#[cfg(unix)]
#[path = "service/systemd.rs"]
mod manager;
#[cfg(windows)]
#[path = "service/windows.rs"]
mod manager;
mod watchdog;

#[cfg(windows)]
pub use install::{ServiceError, directory, install, remove};
#[cfg(windows)]
pub use manager::{End, attach, run};
pub use manager::{tell, watchdog_timeout};
pub use watchdog::{Step, Watchdog};

/// What the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The daemon serves front-ends; a reload, if one was under way, has ended.
    Ready,
    /// The daemon's state, for a person.
    Status(&'static str),
    /// A reload begins. It ends with [`Notice::Ready`].
    Reloading,
    /// The daemon ends.
    Stopping,
    /// The watchdog is fed.
    Watchdog,
}
