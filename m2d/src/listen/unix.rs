//! A Unix socket, by default of mode 0600 in a directory of mode 0700, or one that the service manager
//! opened. The user id of each client is checked as well.

use super::connections::Connections;
use super::{Incoming, ListenError, PassedSocket};
use crate::access::{Access, Peer, Users};
use m2_proto::socket;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// The pause between attempts to lock the directory while another daemon creates its socket there.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 250;

/// The source of the socket for front-ends.
#[derive(Debug)]
pub enum SocketSource {
    /// The service manager passed it.
    Passed(PassedSocket),
    /// The daemon binds this path.
    Path(PathBuf),
}

impl SocketSource {
    /// Returns the path at which front-ends find the socket.
    pub fn path(&self) -> &Path {
        match self {
            Self::Passed(passed) => passed.path(),
            Self::Path(path) => path,
        }
    }

    /// Opens the socket, for these users if the daemon binds it. Must be called within a runtime.
    pub async fn open(self, users: &Users) -> Result<ApiSocket, ListenError> {
        match self {
            Self::Passed(passed) => ApiSocket::passed(passed),
            Self::Path(path) => ApiSocket::bind(&path, users).await,
        }
    }
}

/// A listening socket. The file of a socket that the daemon bound is removed when this is dropped.
#[derive(Debug)]
pub struct ApiSocket {
    /// The file that the daemon bound; `None` if the service manager owns the socket. Dropped before the
    /// listener closes: while the listener is open, its inode number is not reused.
    _path: Option<BoundPath>,
    listener: UnixListener,
}

impl ApiSocket {
    fn passed(passed: PassedSocket) -> Result<Self, ListenError> {
        let path = passed.path().to_owned();
        let listener = UnixListener::from_std(passed.listener);
        let listener = listener.map_err(failed_at(&path))?;
        Ok(Self {
            _path: None,
            listener,
        })
    }

    /// Binds `path`. A stale socket of this user is replaced. A socket in use, a file of another
    /// type and a file of another user are left unchanged.
    pub async fn bind(path: &Path, users: &Users) -> Result<Self, ListenError> {
        if socket::is_too_long(path) {
            return Err(ListenError::PathTooLong(path.to_owned()));
        }
        let failed = failed_at(path);
        let directory = directory_of(path);
        make_dir(directory, users).map_err(&failed)?;
        // The lock keeps other daemons from binding the path between the check of an old socket and
        // its removal.
        let _lock = lock(directory).await.map_err(&failed)?;
        let listener = bind_or_replace(path).await?;
        open_to(path, users, users.socket_mode()).map_err(&failed)?;
        let _path = Some(BoundPath::of(path).map_err(failed)?);
        Ok(Self { _path, listener })
    }

    /// Returns the stream of connections, which are counted in `connections`.
    pub fn incoming(self, connections: Arc<Connections>, access: Arc<Access>) -> Incoming {
        Incoming::new(self, connections, access)
    }

    /// Accepts a connection, with the process at its other end if the system reports it.
    pub(super) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        _: &Users,
    ) -> Poll<io::Result<(UnixStream, Option<Peer>)>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| {
            let peer = stream.peer_cred().ok();
            let peer = peer.map(|found| Peer {
                uid: found.uid(),
                gid: found.gid(),
            });
            (stream, peer)
        })
    }
}

/// The file of a socket that this process bound. Dropping this removes it, unless another file has
/// replaced it.
#[derive(Debug)]
struct BoundPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl BoundPath {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    fn is(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        // A daemon that is binding this path holds the lock and replaces the file itself.
        let directory = File::open(directory_of(&self.path));
        let Ok(directory) = directory else { return };
        if directory.try_lock().is_err() {
            return;
        }
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| self.is(&metadata)) {
            // A file that can't be removed is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the conversion of a system error at `path`.
fn failed_at(path: &Path) -> impl Fn(io::Error) -> ListenError {
    move |source| ListenError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Binds `path` and replaces a stale socket.
async fn bind_or_replace(path: &Path) -> Result<UnixListener, ListenError> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            check_stale(path).await?;
            fs::remove_file(path).map_err(failed_at(path))?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
    .map_err(failed_at(path))
}

/// Succeeds if `path` is a socket of this user on which no program listens.
async fn check_stale(path: &Path) -> Result<(), ListenError> {
    let failed = failed_at(path);
    // The metadata of a link itself, not of its target.
    let metadata = fs::symlink_metadata(path).map_err(&failed)?;
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(ListenError::NotOurs(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // A full queue belongs to a running program.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(ListenError::AlreadyRunning(path.to_owned()))
        }
        Err(source) => Err(failed(source)),
        Ok(_) => Err(ListenError::AlreadyRunning(path.to_owned())),
    }
}

/// Locks a directory until the returned file is dropped.
async fn lock(directory: &Path) -> io::Result<File> {
    let file = File::open(directory)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::WouldBlock,
        "another program keeps the socket's directory locked",
    ))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates the socket's directory, which only the socket's users may enter. An existing directory is left
/// unchanged.
fn make_dir(directory: &Path, users: &Users) -> io::Result<()> {
    let is_new = !directory.as_os_str().is_empty() && !directory.is_dir();
    make_private_dir(directory)?;
    if is_new && users.socket_mode() != 0o600 {
        let mode = if users.socket_mode() == 0o660 {
            0o750
        } else {
            0o755
        };
        open_to(directory, users, mode)?;
    }
    Ok(())
}

/// Gives a path to the socket's group and sets its mode.
fn open_to(path: &Path, users: &Users, mode: u32) -> io::Result<()> {
    if let Some(group) = users.socket_group() {
        std::os::unix::fs::chown(path, None, Some(group))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Creates a directory with mode 0700. An existing directory is left unchanged.
pub fn make_private_dir(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AccessConfig;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{UnixDatagram, UnixListener as StdListener};

    async fn bind(path: &Path) -> Result<ApiSocket, ListenError> {
        let own = rustix::process::geteuid().as_raw();
        let users = Users::new(own, &AccessConfig::default()).unwrap();
        ApiSocket::bind(path, &users).await
    }

    async fn refusal(path: &Path) -> ListenError {
        bind(path).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_left_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("letter.txt");
        fs::write(&file, "my only copy").unwrap();
        let link = dir.path().join("link");
        symlink(&file, &link).unwrap();
        let below = dir.path().join("directory");
        fs::create_dir(&below).unwrap();
        for path in [&file, &link, &below] {
            let refused = refusal(path).await;
            assert!(matches!(refused, ListenError::NotASocket(_)), "{refused}");
            assert!(refused.to_string().contains(path.to_str().unwrap()));
        }
        assert_eq!(fs::read_to_string(&link).unwrap(), "my only copy");
    }

    #[tokio::test]
    async fn a_socket_is_replaced_only_if_no_program_listens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let living = StdListener::bind(&path).unwrap();
        let refused = refusal(&path).await;
        assert!(matches!(refused, ListenError::AlreadyRunning(_)));
        drop(living);
        drop(bind(&path).await.unwrap());
        assert!(!path.exists());
        // A socket of another type was not created by a daemon.
        let datagrams = UnixDatagram::bind(&path).unwrap();
        let refused = refusal(&path).await;
        assert!(matches!(refused, ListenError::Io { .. }), "{refused}");
        drop(datagrams);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_full_queue_belongs_to_a_running_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _living = StdListener::bind(&path).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = UnixStream::connect(&path).await {
            waiting.push(stream);
            if waiting.len() > 10_000 {
                // The system's queue is longer than this test can fill.
                return;
            }
        }
        let refused = refusal(&path).await;
        assert!(matches!(refused, ListenError::AlreadyRunning(_)));
    }

    #[tokio::test]
    async fn the_socket_of_another_daemon_is_not_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let first = bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let second = bind(&path).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn concurrent_starts_bind_one_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(StdListener::bind(&path).unwrap());
        let starts = (0..8).map(|_| bind(&path));
        let bound = futures::future::join_all(starts).await;
        let bound: Vec<_> = bound.into_iter().flatten().collect();
        assert_eq!(bound.len(), 1);
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_refused_before_anything_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        let refused = refusal(&deep.join("s")).await;
        assert!(matches!(refused, ListenError::PathTooLong(_)), "{refused}");
        assert!(!deep.exists());
    }
}
