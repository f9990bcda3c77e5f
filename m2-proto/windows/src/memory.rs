//! Texts and memory as the system passes them.

use std::ffi::{OsStr, c_void};
use std::io;
use std::os::windows::ffi::OsStrExt;
use windows_sys::Win32::Foundation::LocalFree;

/// Memory that the system allocated, freed when this is dropped.
#[derive(Debug)]
pub(crate) struct Local(pub(crate) *mut c_void);

// SAFETY: the memory belongs to this value alone and is never written again.
unsafe impl Send for Local {}
// SAFETY: as above.
unsafe impl Sync for Local {}

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the system allocated the memory with `LocalAlloc`, and no other value frees it.
        unsafe { LocalFree(self.0) };
    }
}

/// Returns the last error of the system if a call returned false.
pub(crate) fn check(succeeded: i32) -> io::Result<()> {
    match succeeded {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Returns a text in UTF-16 with a NUL at its end.
pub(crate) fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}
