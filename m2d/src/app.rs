//! The daemon from start to stop: opens everything, serves, and drains with a deadline.

mod check;
mod engine;
mod failure;
mod key;
mod mailbox;
mod open;
mod passphrase;
mod reload;
mod restore;
mod running;
mod serve;
mod settings;
#[cfg(unix)]
mod signals;
#[cfg(windows)]
#[path = "app/windows_signals.rs"]
mod signals;
#[cfg(windows)]
mod system_service;
mod watch;

pub use check::check_config;
pub use failure::Failure;
pub use passphrase::passphrase;
pub use restore::restore;
#[cfg(windows)]
pub use system_service::service;

use key::{Key, OpenKey};
use open::Startup;
use reload::Reloader;
use running::RunningDaemon;

use crate::access::{Access, Users};
use crate::api::{ApiState, Diagnostics, Unlocker};
use crate::args::{InitArgs, RunArgs};
use crate::config::Config;
use crate::exposure::Files;
use crate::key_file::{KeyFile, KeyFileError};
#[cfg(unix)]
use crate::listen::ListenError;
use crate::listen::{self, Connections, SocketSource, make_private_dir};
use crate::lock::InstanceLock;
use crate::service::{self, Notice, tell};
use crate::tasks::Tasks;
use crate::{log, paths, unlock};
use futures::FutureExt;
use m2_crypto::{Circle, KeyError, provider};
use m2_proto::reason::Reason;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// How long remaining tasks may run after everything else has ended.
const LAST_WAIT: Duration = Duration::from_millis(250);

/// The settings that are determined before anything is opened.
struct Plan {
    config: Config,
    circle: Circle,
    data_dir: PathBuf,
    /// The configuration file.
    file: PathBuf,
    listen_is_default: bool,
}

/// Runs the daemon until it is stopped.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let socket = socket_source(args)?;
    let plan = plan(args)?;
    log::init(&plan.config.log)
        .map_err(|error| Failure::Usage(format!("[log] filter: {error}")))?;
    make_private_dir(&plan.data_dir).map_err(|source| Failure::DataDir {
        path: plan.data_dir.clone(),
        source,
    })?;
    let _lock = InstanceLock::take(&plan.data_dir)?;
    key::check_pair(&plan.data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let result = runtime.block_on(run_in(args, plan, socket));
    runtime.shutdown_timeout(LAST_WAIT);
    result
}

/// Creates the identity if there is none. Returns its peer id.
pub fn init(args: &InitArgs) -> Result<String, Failure> {
    let plan = plan(&RunArgs {
        paths: args.paths.clone(),
        ..RunArgs::default()
    })?;
    make_private_dir(&plan.data_dir).map_err(|source| Failure::DataDir {
        path: plan.data_dir.clone(),
        source,
    })?;
    let _lock = InstanceLock::take(&plan.data_dir)?;
    key::check_pair(&plan.data_dir)?;
    let passphrase = unlock::passphrase(&plan.config.identity)?.into_passphrase()?;
    let identity = key::open_or_create(&plan.data_dir, passphrase.as_ref())?;
    Ok(identity.peer_id(plan.circle.id()).to_string())
}

fn plan(args: &RunArgs) -> Result<Plan, Failure> {
    let (path, optional) = paths::config_file(args.paths.config.as_ref())?;
    let mut config = Config::load(&path, optional)?;
    let mut listen_is_default = config.network.listen == Config::default().network.listen;
    if !args.listen.is_empty() {
        config.network.listen.clone_from(&args.listen);
        listen_is_default = false;
    }
    if let Some(filter) = &args.log {
        config.log.filter.clone_from(filter);
    }
    Ok(Plan {
        circle: config.circle()?,
        config,
        data_dir: paths::data_dir(&args.paths)?,
        file: path,
        listen_is_default,
    })
}

/// Returns the socket that the service manager passes, otherwise the path at which to bind one.
#[cfg(unix)]
fn socket_source(args: &RunArgs) -> Result<SocketSource, Failure> {
    match (listen::passed_socket(args.launchd)?, &args.socket) {
        (Some(_), Some(path)) => Err(ListenError::NamedToo(path.clone()).into()),
        (Some(passed), None) => Ok(SocketSource::Passed(passed)),
        (None, given) => Ok(SocketSource::Path(paths::socket(given.as_ref())?)),
    }
}

/// Returns the name of the pipe: no service manager passes one.
#[cfg(windows)]
fn socket_source(args: &RunArgs) -> Result<SocketSource, Failure> {
    Ok(SocketSource::Path(paths::socket(args.socket.as_ref())?))
}

async fn run_in(args: &RunArgs, plan: Plan, socket: SocketSource) -> Result<(), Failure> {
    signals::survive_file_limit().map_err(Failure::Runtime)?;
    let stop = CancellationToken::new();
    let tasks = Tasks::new(stop.clone());
    let reloads = signals::spawn(stop.clone()).map_err(Failure::Runtime)?;
    let connections = Connections::new(listen::raise_limit());
    let diagnostics = Diagnostics::new(
        &plan.config,
        [plan.data_dir.as_path(), socket.path(), plan.file.as_path()],
    );
    let access = Access::new(Users::of_process(&plan.config.access)?);
    let files = Files::new(&plan.config, &plan.data_dir, &plan.file);
    #[cfg(unix)]
    let files = files.with_socket(socket.path(), access.users.socket_mode());
    files.log();
    let socket = socket.open(&access.users).await?;
    let circle = plan.config.circle.name.clone();
    let shared = (connections.clone(), access.clone());
    let state = ApiState::new(circle, shared, (diagnostics, files), stop.clone());
    let state = Arc::new(state.await);
    let given = unlock::passphrase(&plan.config.identity)?;
    let key = key::find(&plan.data_dir, &given)?;
    let reloader = Reloader::new(args, &plan, state.clone());
    let watched = (access.clone(), reloader.tunable());
    let startup = Startup::new(&plan, watched, tasks.clone(), stop.clone());
    let opened: RunningSlot = Arc::default();
    open_or_lock(startup, key, &state, &opened).await?;
    tasks.helper("reloads", reloader.run(reloads, stop.clone()));
    if let Some(timeout) = service::watchdog_timeout() {
        tasks.helper(
            "watchdog",
            watch::feed(state.clone(), timeout, stop.clone()),
        );
    }
    let incoming = socket.incoming(connections, access);
    let serving = async {
        let served = serve::serve(&state, incoming, stop.clone()).await;
        tell(&[Notice::Stopping]);
        stop.cancel();
        served
    };
    // The API and the sessions end concurrently, each within its own deadline.
    let (served, ()) = tokio::join!(serving, end_sessions(&stop, &opened));
    if let Some(opened) = opened.lock().await.take() {
        opened.close().await;
    }
    tracing::info!("stopped");
    match tasks.broken() {
        Some(name) => Err(Failure::Ended(name)),
        None => served,
    }
}

/// Opens the daemon, or leaves it locked until the user gives the passphrase.
async fn open_or_lock(
    startup: Startup,
    key: Key,
    state: &Arc<ApiState>,
    opened: &RunningSlot,
) -> Result<(), Failure> {
    match key {
        Key::Open(key) => {
            let is_new = key.is_new;
            let (ready, rest) = startup.open(*key).await?;
            state.set_ready(ready).await;
            *opened.lock().await = Some(rest);
            tracing::info!(new_identity = is_new, "ready");
            tell(&[Notice::Ready, Notice::Status("ready")]);
        }
        Key::Locked(file) => {
            state
                .set_unlocker(unlocker(startup, Arc::new(file), opened.clone()))
                .await;
            tracing::info!("locked: open the identity with `m2 unlock`");
            let status = Notice::Status("locked: open the identity with `m2 unlock`");
            tell(&[Notice::Ready, status]);
        }
    }
    Ok(())
}

/// Ends all sessions once the daemon stops.
async fn end_sessions(stop: &CancellationToken, opened: &RunningSlot) {
    stop.cancelled().await;
    let ending = opened
        .lock()
        .await
        .as_ref()
        .map(RunningDaemon::end_sessions);
    if let Some(ending) = ending {
        ending.await;
    }
}

/// The parts that run once the identity is open.
type RunningSlot = Arc<Mutex<Option<RunningDaemon>>>;

/// Returns the function that opens the daemon with the user's passphrase.
fn unlocker(startup: Startup, file: Arc<KeyFile>, opened: RunningSlot) -> Unlocker {
    let startup = Arc::new(startup);
    Box::new(move |passphrase| {
        let passphrase = Zeroizing::new(passphrase.into_bytes());
        let (startup, file, opened) = (startup.clone(), file.clone(), opened.clone());
        async move {
            let key = open_key(file, passphrase).await?;
            let (ready, rest) = startup.open(key).await.map_err(|error| {
                tracing::error!(%error, "the daemon can't start");
                reason_of(&error)
            })?;
            *opened.lock().await = Some(rest);
            tell(&[Notice::Status("ready")]);
            tracing::info!("unlocked");
            Ok(ready)
        }
        .boxed()
    })
}

/// Opens the key file with the passphrase, on a blocking thread.
async fn open_key(file: Arc<KeyFile>, passphrase: Zeroizing<Vec<u8>>) -> Result<OpenKey, Reason> {
    let opening = file.clone();
    let open = move || opening.open(Some(&passphrase), provider::default());
    let opened = tokio::task::spawn_blocking(open).await;
    let identity = opened
        .map_err(|_| Reason::Stopping)?
        .map_err(|error| match error {
            KeyFileError::Key {
                error: KeyError::Passphrase,
                ..
            } => Reason::WrongPassphrase,
            _ => Reason::Internal,
        })?;
    Ok(OpenKey::of((*file).clone(), identity))
}

fn reason_of(failure: &Failure) -> Reason {
    match failure {
        Failure::Store(error) => error.fault().reason(),
        _ => Reason::Internal,
    }
}

/// Returns the number of worker threads. Two are enough to keep sessions running while RSA blocks
/// one; more are used only if there are cores for them.
fn worker_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}
