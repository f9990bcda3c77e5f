//! What a terminal shows of what is typed.
//!
//! A prompt for a passphrase must not appear before the terminal has stopped echoing: otherwise the
//! first letters of a user who types at once are shown.

#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal of stdin, which does not echo what is typed until this value is dropped. On Windows
/// it does nothing yet.
#[derive(Debug)]
#[must_use]
pub struct Silenced {
    #[cfg(unix)]
    before: Option<Termios>,
}

#[cfg(unix)]
impl Silenced {
    /// Stops the echo of stdin's terminal. It does nothing where stdin is no terminal.
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

#[cfg(not(unix))]
impl Silenced {
    /// Does nothing.
    pub fn stdin() -> Self {
        Self {}
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

/// A terminal that does not take `modes` goes on as before.
#[cfg(unix)]
fn set(modes: &Termios) {
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, modes);
}
