//! The identifiers of users and groups.

use crate::memory::{Local, check, wide};
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ptr;
use windows_sys::Win32::Security::Authorization::{ConvertSidToStringSidW, ConvertStringSidToSidW};
use windows_sys::Win32::Security::{LookupAccountNameW, PSID, SECURITY_MAX_SID_SIZE, SID_NAME_USE};

/// The longest name of a domain, in UTF-16 units.
const MAX_DOMAIN: usize = 256;

/// A security identifier: the identity of a user or a group, as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sid(Cow<'static, str>);

impl Sid {
    /// The system itself.
    pub const SYSTEM: Self = Self(Cow::Borrowed("S-1-5-18"));
    /// The group of administrators.
    pub const ADMINISTRATORS: Self = Self(Cow::Borrowed("S-1-5-32-544"));
    /// Every user that has logged on with a name.
    pub const AUTHENTICATED: Self = Self(Cow::Borrowed("S-1-5-11"));
    /// Every user that has logged on over the network.
    pub const NETWORK: Self = Self(Cow::Borrowed("S-1-5-2"));

    /// Returns the identifier with this text, which must be valid.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Looks up a user or a group of this computer or its domain. A text that is an identifier already is
    /// returned unchanged.
    ///
    /// Errors: there is no such account.
    pub fn of_account(name: &str) -> io::Result<Self> {
        // The system also takes two letters for identifiers of well-known groups; here they are a name.
        if name.starts_with("S-1-") {
            return RawSid::parse(name)?.to_sid();
        }
        let name = wide(name);
        let mut sid = [0_u32; SECURITY_MAX_SID_SIZE as usize / 4];
        let mut sid_bytes = SECURITY_MAX_SID_SIZE;
        let mut domain = [0_u16; MAX_DOMAIN];
        let mut domain_length = MAX_DOMAIN as u32;
        let mut kind: SID_NAME_USE = 0;
        // SAFETY: the name ends with a NUL; the lengths are those of the buffers.
        check(unsafe {
            LookupAccountNameW(
                ptr::null(),
                name.as_ptr(),
                sid.as_mut_ptr().cast(),
                &raw mut sid_bytes,
                domain.as_mut_ptr(),
                &raw mut domain_length,
                &raw mut kind,
            )
        })?;
        // SAFETY: the call filled the buffer with an identifier.
        unsafe { Self::from_raw(sid.as_mut_ptr().cast()) }
    }

    /// Copies an identifier of the system.
    ///
    /// # Safety
    /// `sid` points to a valid identifier.
    pub(crate) unsafe fn from_raw(sid: PSID) -> io::Result<Self> {
        let mut text = ptr::null_mut();
        // SAFETY: the identifier is valid, as the caller guarantees.
        check(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
        let text = Local(text.cast());
        let mut units = Vec::new();
        let mut next = text.0.cast::<u16>().cast_const();
        // SAFETY: the system ends the text with a NUL, where the loop ends.
        while let unit @ 1.. = unsafe { *next } {
            units.push(unit);
            // SAFETY: the text does not end here.
            next = unsafe { next.add(1) };
        }
        Ok(Self(String::from_utf16_lossy(&units).into()))
    }

    /// Returns the identifier in the system's form.
    pub(crate) fn to_raw(&self) -> io::Result<RawSid> {
        RawSid::parse(&self.0)
    }

    /// Returns the identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An identifier in the system's form.
pub(crate) struct RawSid(Local);

impl RawSid {
    fn parse(text: &str) -> io::Result<Self> {
        let text = wide(text);
        let mut sid = ptr::null_mut();
        // SAFETY: the text ends with a NUL.
        check(unsafe { ConvertStringSidToSidW(text.as_ptr(), &raw mut sid) })?;
        Ok(Self(Local(sid)))
    }

    pub(crate) const fn as_ptr(&self) -> PSID {
        self.0.0
    }

    fn to_sid(&self) -> io::Result<Sid> {
        // SAFETY: the system made this identifier.
        unsafe { Sid::from_raw(self.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_returned_unchanged_and_an_unknown_account_is_an_error() {
        assert_eq!(Sid::of_account("S-1-5-18").unwrap(), Sid::SYSTEM);
        assert!(Sid::of_account("no-such-account").is_err());
        assert_ne!(Sid::of_account("BA").ok(), Some(Sid::ADMINISTRATORS));
    }
}
