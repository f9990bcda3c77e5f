//! Private directories, and the space on their disks.

use crate::descriptor::Descriptor;
use crate::memory::{Local, check, wide};
use crate::sid::Sid;
use std::io;
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Security::Authorization::{GetNamedSecurityInfoW, SE_FILE_OBJECT};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
    SetFileSecurityW,
};
use windows_sys::Win32::Storage::FileSystem::{CreateDirectoryW, GetDiskFreeSpaceExW};

/// Creates a directory with a descriptor. Its parent must exist.
///
/// Errors: those of the system.
pub fn create(path: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let path = wide(path);
    let attributes = descriptor.attributes();
    // SAFETY: the path ends with a NUL; the attributes and their descriptor are valid during the call.
    check(unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

/// Replaces the descriptor of a directory. What is in the directory keeps its own.
///
/// Errors: those of the system.
pub fn set(path: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let path = wide(path);
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the path ends with a NUL; the descriptor is valid during the call.
    check(unsafe { SetFileSecurityW(path.as_ptr(), what, descriptor.as_ptr()) })
}

/// Returns the owner of a directory.
///
/// Errors: those of the system.
pub fn owner(path: &Path) -> io::Result<Sid> {
    let path = wide(path);
    let (mut owner, mut descriptor) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the path ends with a NUL; results that are not requested may be null.
    let code = unsafe {
        GetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut descriptor,
        )
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code.cast_signed()));
    }
    let _descriptor = Local(descriptor);
    // SAFETY: the call succeeded, and the descriptor, which holds the owner, is freed later.
    unsafe { Sid::from_raw(owner) }
}

/// Returns the bytes that the user may still store on the disk of a directory, or `None` if the system
/// does not report them.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let path = wide(path);
    let mut free = 0;
    // SAFETY: the path ends with a NUL; results that are not requested may be null.
    let found = unsafe {
        GetDiskFreeSpaceExW(
            path.as_ptr(),
            &raw mut free,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    check(found).ok().map(|()| free)
}
