//! Named pipes.

use crate::descriptor::{CLIENT_OF_PIPE, Descriptor};
use crate::memory::Local;
use crate::sid::Sid;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, IntoRawHandle};
use std::path::Path;
use std::ptr;
use tokio::net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_PIPE_BUSY};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_KERNEL_OBJECT};
use windows_sys::Win32::Security::OWNER_SECURITY_INFORMATION;
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, SECURITY_IDENTIFICATION};

/// The beginning of each pipe's name.
pub const PREFIX: &str = r"\\.\pipe\";

/// The largest number of UTF-16 units in a pipe's name.
pub const MAX_NAME: usize = 256;

/// Creates an instance of a pipe, to which clients of this computer can connect. If `is_first`, no other
/// instance may exist. Must be called within a runtime.
///
/// Errors: those of the system; see [`is_taken`].
pub fn create(name: &Path, descriptor: &Descriptor, is_first: bool) -> io::Result<NamedPipeServer> {
    let mut attributes = descriptor.attributes();
    let mut options = ServerOptions::new();
    options
        .first_pipe_instance(is_first)
        .reject_remote_clients(true);
    // SAFETY: the attributes and their descriptor are valid during the call, which copies them.
    unsafe { options.create_with_security_attributes_raw(name, (&raw mut attributes).cast()) }
}

/// Returns whether another process has the pipe already.
pub fn is_taken(error: &io::Error) -> bool {
    is(error, ERROR_ACCESS_DENIED) || is(error, ERROR_PIPE_BUSY)
}

/// Connects to a pipe. Its server learns the user of this process, and can't act in the user's name. Must be
/// called within a runtime.
///
/// Errors: those of the system; see [`is_busy`].
pub fn connect(name: &Path) -> io::Result<NamedPipeClient> {
    let file = OpenOptions::new()
        .access_mode(CLIENT_OF_PIPE)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .security_qos_flags(SECURITY_IDENTIFICATION)
        .open(name)?;
    // SAFETY: the handle is open, overlapped, and owned by the returned value alone.
    unsafe { NamedPipeClient::from_raw_handle(file.into_raw_handle()) }
}

/// Returns whether the pipe has no free instance at the moment.
pub fn is_busy(error: &io::Error) -> bool {
    is(error, ERROR_PIPE_BUSY)
}

/// Returns the owner of a pipe: the account that created its first instance.
///
/// Errors: those of the system.
pub fn owner(pipe: &impl AsRawHandle) -> io::Result<Sid> {
    let (mut owner, mut descriptor) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the pipe keeps its handle open; results that are not requested may be null.
    let code = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
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

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}
