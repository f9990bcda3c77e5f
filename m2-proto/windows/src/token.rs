//! Whose rights a process or the client of a pipe has.

use crate::memory::check;
use crate::sid::Sid;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    CheckTokenMembership, GetTokenInformation, RevertToSelf, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Pipes::ImpersonateNamedPipeClient;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken,
};

/// The rights of a process or a client.
#[derive(Debug)]
pub struct Token(OwnedHandle);

impl Token {
    /// Returns the token of this process.
    ///
    /// Errors: those of the system.
    pub fn of_process() -> io::Result<Self> {
        let mut handle: HANDLE = ptr::null_mut();
        // SAFETY: the pseudo-handle of the process needs no closing.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut handle) })?;
        // SAFETY: the call opened the handle.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Returns the token of the client at the other end of a pipe.
    ///
    /// Errors: those of the system; the client hides its identity.
    pub fn of_client(pipe: &impl AsRawHandle) -> io::Result<Self> {
        // SAFETY: the pipe keeps its handle open.
        check(unsafe { ImpersonateNamedPipeClient(pipe.as_raw_handle()) })?;
        let token = Self::of_thread();
        // SAFETY: the call has no arguments.
        if unsafe { RevertToSelf() } == 0 {
            // The thread would go on with the rights of the client.
            std::process::abort();
        }
        token
    }

    /// Returns the token that the current thread impersonates.
    fn of_thread() -> io::Result<Self> {
        const AS_SELF: i32 = 1;
        let mut handle: HANDLE = ptr::null_mut();
        // SAFETY: the pseudo-handle of the thread needs no closing.
        check(unsafe {
            OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, AS_SELF, &raw mut handle)
        })?;
        // SAFETY: the call opened the handle.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Returns the user.
    ///
    /// Errors: those of the system.
    pub fn user(&self) -> io::Result<Sid> {
        // A TOKEN_USER and the longest identifier behind it, aligned as both need.
        let mut buffer = [0_u64; 16];
        let mut length = 0;
        // SAFETY: the length is that of the buffer.
        check(unsafe {
            GetTokenInformation(
                self.0.as_raw_handle(),
                TokenUser,
                buffer.as_mut_ptr().cast(),
                size_of_val(&buffer) as u32,
                &raw mut length,
            )
        })?;
        // SAFETY: the call filled the buffer with a TOKEN_USER, whose identifier is in the buffer.
        unsafe {
            let user = buffer.as_ptr().cast::<TOKEN_USER>();
            Sid::from_raw((*user).User.Sid)
        }
    }

    /// Returns whether the client is this user or in this group. A group that an administrator uses only
    /// for elevated programs does not count for others. Only for tokens of clients.
    ///
    /// Errors: those of the system.
    pub fn is_member_of(&self, sid: &Sid) -> io::Result<bool> {
        let sid = sid.to_raw()?;
        let mut is_member = 0;
        // SAFETY: handle and identifier are valid during the call.
        check(unsafe {
            CheckTokenMembership(self.0.as_raw_handle(), sid.as_ptr(), &raw mut is_member)
        })?;
        Ok(is_member != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_user() {
        let user = Token::of_process().unwrap().user().unwrap();
        assert!(user.as_str().starts_with("S-1-"), "{user}");
    }
}
