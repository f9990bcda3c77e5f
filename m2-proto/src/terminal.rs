//! Terminal input without echo.
//!
//! A program must print the prompt for a passphrase only after the terminal has stopped echoing.
//! Otherwise the first characters of a fast typist are shown.

#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Suppresses the echo of stdin's terminal until this value is dropped.
#[derive(Debug)]
#[must_use]
pub struct Silenced {
    #[cfg(unix)]
    before: Option<Termios>,
    #[cfg(windows)]
    before: Option<u32>,
}

#[cfg(unix)]
impl Silenced {
    /// Stops the echo of stdin's terminal. Has no effect if stdin is not a terminal.
    pub fn stdin() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes &= !(LocalModes::ECHO | LocalModes::ECHONL);
            set(&silent);
        }
        Self { before }
    }
}

#[cfg(windows)]
impl Silenced {
    /// Stops the echo of stdin's terminal. Has no effect if stdin is not a terminal.
    pub fn stdin() -> Self {
        Self {
            before: m2_windows::console::silence(),
        }
    }
}

#[cfg(unix)]
impl Drop for Silenced {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            set(before);
        }
    }
}

#[cfg(windows)]
impl Drop for Silenced {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            m2_windows::console::set(before);
        }
    }
}

/// A terminal that rejects `modes` keeps its current ones.
#[cfg(unix)]
fn set(modes: &Termios) {
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, modes);
}
