//! The reader of standard output, as far as a pipe reveals it.

/// The kind of reader of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A file or a terminal: printed bytes have arrived.
    Lasting,
    /// Another program, which may exit with unread bytes.
    #[cfg_attr(
        windows,
        allow(dead_code, reason = "pipes are not told from files there")
    )]
    Program,
}

#[cfg(unix)]
mod system {
    use super::Reader;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;

    impl Reader {
        /// Returns the kind of reader of standard output.
        pub(in super::super) fn of_stdout() -> Self {
            let kind = io::stdout()
                .as_fd()
                .try_clone_to_owned()
                .and_then(|fd| File::from(fd).metadata())
                .map(|metadata| metadata.file_type());
            match kind {
                Ok(kind) if kind.is_fifo() || kind.is_socket() => Self::Program,
                _ => Self::Lasting,
            }
        }

        /// Returns the number of unread bytes in the pipe.
        pub(in super::super) fn unread(self) -> u64 {
            match self {
                Self::Lasting => 0,
                // The system may not report this for a socket; then 0 is assumed.
                Self::Program => rustix::io::ioctl_fionread(io::stdout()).unwrap_or(0),
            }
        }

        /// Returns whether the reader has closed the pipe.
        pub(in super::super) fn is_gone(self) -> bool {
            if self == Self::Lasting {
                return false;
            }
            let stdout = io::stdout();
            let mut fds = [PollFd::new(&stdout, PollFlags::OUT)];
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let polled = poll(&mut fds, Some(&now));
            let ended = PollFlags::ERR | PollFlags::HUP;
            polled.is_ok() && fds.iter().any(|fd| fd.revents().intersects(ended))
        }
    }
}

#[cfg(not(unix))]
impl Reader {
    pub(super) fn of_stdout() -> Self {
        Self::Lasting
    }

    pub(super) fn unread(self) -> u64 {
        0
    }

    pub(super) fn is_gone(self) -> bool {
        self != Self::Lasting
    }
}
