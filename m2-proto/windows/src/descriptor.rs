//! Security descriptors that name each account with access.

use crate::memory::{Local, check, wide};
use crate::sid::Sid;
use std::ffi::c_void;
use std::io;
use std::ptr;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;

/// Reading and writing a pipe, without the right to create further instances of it, which a server has.
pub(crate) const CLIENT_OF_PIPE: u32 = 0x0012_019b;

/// The accounts that may use an object. No other account may, and nothing is inherited from the object's
/// parent.
#[derive(Debug)]
pub struct Descriptor(Local);

impl Descriptor {
    /// Returns the descriptor of a pipe: its owner and the system may create instances of it, and `clients` may
    /// connect from this computer.
    ///
    /// Errors: those of the system.
    pub fn of_pipe(owner: &Sid, clients: &[Sid]) -> io::Result<Self> {
        // Without a name, the owner of a pipe of an elevated process would be the group of administrators.
        let mut text = format!("O:{owner}D:P(D;;GA;;;{})", Sid::NETWORK);
        for server in [owner, &Sid::SYSTEM] {
            text.push_str(&format!("(A;;GA;;;{server})"));
        }
        for client in clients {
            text.push_str(&format!("(A;;{CLIENT_OF_PIPE:#x};;;{client})"));
        }
        Self::parse(&text)
    }

    /// Returns the descriptor of a directory that these accounts may use, with all that is created in it
    /// later.
    ///
    /// Errors: those of the system.
    pub fn of_directory(accounts: &[Sid]) -> io::Result<Self> {
        let mut text = "D:P".to_owned();
        for account in accounts {
            text.push_str(&format!("(A;OICI;FA;;;{account})"));
        }
        Self::parse(&text)
    }

    /// Parses the system's language for descriptors.
    fn parse(text: &str) -> io::Result<Self> {
        let text = wide(text);
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends with a NUL.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        })?;
        Ok(Self(Local(descriptor)))
    }

    pub(crate) const fn as_ptr(&self) -> *mut c_void {
        self.0.0
    }

    /// Returns the attributes for the creation of an object. They are valid while this descriptor exists.
    pub(crate) const fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.as_ptr(),
            bInheritHandle: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_accepted_by_the_system() {
        let accounts = [Sid::SYSTEM, Sid::ADMINISTRATORS];
        assert!(Descriptor::of_pipe(&Sid::SYSTEM, &[Sid::AUTHENTICATED]).is_ok());
        assert!(Descriptor::of_directory(&accounts).is_ok());
        assert!(Descriptor::parse("D:P(A;;GA;;;nobody)").is_err());
    }
}
