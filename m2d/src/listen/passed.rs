//! The socket that a service manager opened and passes to the daemon (docs/adr/0025-passed-sockets.md).

use super::ListenError;
use service_binding::{Binding, Listener};
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The socket's name in the job of launchd: its key in the dictionary `Sockets`.
const LAUNCHD_NAME: &str = "api";

/// A listening socket that the service manager owns: it is neither bound nor removed here, and keeps
/// its mode and its group.
#[derive(Debug)]
pub struct PassedSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl PassedSocket {
    /// Returns the path at which front-ends find the socket; empty if it has none.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the socket that the service manager passes, if it passes one. launchd is asked only if the
/// daemon is its job. Must be called once, before any file is opened.
///
/// Errors: other sockets were passed than one listening Unix stream socket.
pub fn passed_socket(is_launchd_job: bool) -> Result<Option<PassedSocket>, ListenError> {
    let binding = if cfg!(target_os = "macos") && is_launchd_job {
        by_launchd()?
    } else {
        by_systemd()?
    };
    binding.map(take).transpose()
}

fn by_systemd() -> Result<Option<Binding>, ListenError> {
    let mut sockets = sd_notify::listen_fds().map_err(unusable)?;
    match sockets.len() {
        0 => Ok(None),
        1 => Ok(sockets.next().map(Binding::FileDescriptor)),
        count => Err(ListenError::Passed(format!("{count} sockets"))),
    }
}

fn by_launchd() -> Result<Option<Binding>, ListenError> {
    use service_binding::Error;
    match format!("fd://{LAUNCHD_NAME}").parse() {
        Ok(binding) => Ok(Some(binding)),
        Err(Error::DescriptorsMissing | Error::DescriptorOutOfRange(0)) => Ok(None),
        Err(Error::DescriptorOutOfRange(count)) => {
            Err(ListenError::Passed(format!("{count} sockets")))
        }
        Err(error) => Err(ListenError::Passed(format!("an unusable socket ({error})"))),
    }
}

fn take(binding: Binding) -> Result<PassedSocket, ListenError> {
    let Ok(Listener::Unix(listener)) = Listener::try_from(binding) else {
        return Err(ListenError::Passed("no Unix socket".to_owned()));
    };
    // The system reports another error for each kind of descriptor that is no Unix socket.
    let address = listener.local_addr();
    let address = address.map_err(|_| ListenError::Passed("no Unix socket".to_owned()))?;
    check(&listener)?;
    listener.set_nonblocking(true).map_err(unusable)?;
    let path = address.as_pathname().unwrap_or(Path::new("")).to_owned();
    Ok(PassedSocket { listener, path })
}

/// Refuses a socket on which no connection can be accepted.
fn check(listener: &UnixListener) -> Result<(), ListenError> {
    use rustix::net::{SocketType, sockopt};
    let kind = sockopt::socket_type(listener).map_err(|error| unusable(error.into()))?;
    if kind != SocketType::STREAM {
        let text = "a socket that is no stream socket (ListenDatagram=)";
        return Err(ListenError::Passed(text.to_owned()));
    }
    // macOS declares the option and does not implement it.
    #[cfg(not(target_os = "macos"))]
    if !sockopt::socket_acceptconn(listener).map_err(|error| unusable(error.into()))? {
        let text = "a socket that does not listen (Accept=yes)";
        return Err(ListenError::Passed(text.to_owned()));
    }
    Ok(())
}

fn unusable(error: io::Error) -> ListenError {
    ListenError::Passed(format!("an unusable socket ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    fn taken(descriptor: impl IntoRawFd) -> Result<PassedSocket, ListenError> {
        take(Binding::FileDescriptor(descriptor.into_raw_fd()))
    }

    #[test]
    fn a_listening_socket_keeps_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let passed = taken(UnixListener::bind(&path).unwrap()).unwrap();
        assert_eq!(passed.path(), path);
        drop(passed);
        assert!(path.exists());
    }

    #[test]
    fn sockets_that_accept_no_connections_are_refused_with_the_reason() {
        let refused = |taken: Result<PassedSocket, ListenError>| taken.unwrap_err().to_string();
        let datagrams = refused(taken(UnixDatagram::unbound().unwrap()));
        assert!(datagrams.contains("ListenDatagram="), "{datagrams}");
        let connected = refused(taken(UnixStream::pair().unwrap().0));
        assert!(connected.contains("Accept=yes"), "{connected}");
        let udp = refused(taken(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()));
        assert!(udp.contains("no Unix socket"), "{udp}");
        let file = refused(taken(tempfile::tempfile().unwrap()));
        assert!(file.contains("no Unix socket"), "{file}");
    }
}
