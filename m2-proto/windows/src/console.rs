//! Terminal input without echo.

use windows_sys::Win32::System::Console::{
    CONSOLE_MODE, ENABLE_ECHO_INPUT, GetConsoleMode, GetStdHandle, STD_INPUT_HANDLE, SetConsoleMode,
};

/// Stops the echo of stdin's terminal. Returns the mode from before; `None` if stdin is not a terminal.
pub fn silence() -> Option<CONSOLE_MODE> {
    let mut before = 0;
    // SAFETY: a handle that is no terminal's is refused.
    let found = unsafe { GetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), &raw mut before) };
    (found != 0).then(|| {
        set(before & !ENABLE_ECHO_INPUT);
        before
    })
}

/// Sets the mode of stdin's terminal. A terminal that rejects it keeps its current one.
pub fn set(mode: CONSOLE_MODE) {
    // SAFETY: a handle that is no terminal's is refused.
    unsafe { SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), mode) };
}
