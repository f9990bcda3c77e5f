//! Windows' service control manager. Without it a notification has no receiver.

use super::Notice;
use std::ffi::OsString;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};
use windows_service::{define_windows_service, service_dispatcher};

/// The name of the service, and the last part of its account's.
pub(super) const NAME: &str = "m2d";

/// How long the service manager waits for the daemon to start or to stop, far above what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process as the service manager sees it. Set once, and only in a service.
static SERVICE: OnceLock<Service> = OnceLock::new();

/// Runs the daemon. Set before the dispatcher starts, which passes no arguments of ours.
static JOB: OnceLock<Job> = OnceLock::new();

/// Runs the daemon until it is stopped. Returns its end.
type Job = Box<dyn Fn() -> End + Send + Sync>;

/// The end of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// It failed, and a restart can't help. With the exit code.
    Failed(u8),
    /// It failed, and a restart may help. With the exit code.
    Broken(u8),
}

struct Service {
    manager: ServiceStatusHandle,
    requests: Mutex<Requests>,
}

/// What the service manager requests, and where the requests go once the daemon runs.
#[derive(Default)]
struct Requests {
    stops: bool,
    daemon: Option<(CancellationToken, mpsc::Sender<()>)>,
}

define_windows_service!(begin, serve);

/// Runs this process as the service: the service manager must have started it.
///
/// Errors: it has not, or those of the system.
pub fn run(job: impl Fn() -> End + Send + Sync + 'static) -> Result<(), windows_service::Error> {
    let _ = JOB.set(Box::new(job));
    service_dispatcher::start(NAME, begin)
}

/// Passes the requests of the service manager on: `stop` is cancelled, and reloads are sent. Returns false if
/// this process is not a service.
pub fn attach(stop: CancellationToken, reload: mpsc::Sender<()>) -> bool {
    let Some(service) = SERVICE.get() else {
        return false;
    };
    let mut requests = service.requests();
    if requests.stops {
        stop.cancel();
    }
    requests.daemon = Some((stop, reload));
    true
}

/// Reports the daemon's state to the service manager.
pub fn tell(notices: &[Notice]) {
    let Some(service) = SERVICE.get() else {
        return;
    };
    for notice in notices {
        match notice {
            Notice::Ready => service.report(ServiceState::Running, 0),
            Notice::Stopping => service.report(ServiceState::StopPending, 0),
            Notice::Status(_) | Notice::Reloading | Notice::Watchdog => {}
        }
    }
}

/// Returns nothing: this service manager has no watchdog.
pub const fn watchdog_timeout() -> Option<Duration> {
    None
}

/// The main function of the service, on a thread of the service manager.
fn serve(_: Vec<OsString>) {
    let Ok(manager) = service_control_handler::register(NAME, handle) else {
        return;
    };
    let requests = Mutex::default();
    let service = SERVICE.get_or_init(|| Service { manager, requests });
    service.report(ServiceState::StartPending, 0);
    let end = JOB.get().map_or(End::Stopped, |job| job());
    match end {
        End::Stopped => service.report(ServiceState::Stopped, 0),
        End::Failed(code) => service.report(ServiceState::Stopped, code),
        // The service manager restarts a service that ends without a report.
        End::Broken(code) => std::process::exit(code.into()),
    }
}

/// Handles a request of the service manager.
fn handle(control: ServiceControl) -> ServiceControlHandlerResult {
    let service = SERVICE.get();
    match control {
        ServiceControl::Interrogate => {}
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
            if let Some(service) = service {
                service.stop();
            }
        }
        ServiceControl::ParamChange => {
            if let Some(service) = service {
                service.reload();
            }
        }
        _ => return ServiceControlHandlerResult::NotImplemented,
    }
    ServiceControlHandlerResult::NoError
}

impl Service {
    fn stop(&self) {
        self.report(ServiceState::StopPending, 0);
        let mut requests = self.requests();
        requests.stops = true;
        if let Some((stop, _)) = &requests.daemon {
            stop.cancel();
        }
    }

    fn reload(&self) {
        if let Some((_, reload)) = &self.requests().daemon {
            // A request that waits already is enough.
            let _ = reload.try_send(());
        }
    }

    /// Reports a state. Without a receiver it has no meaning.
    fn report(&self, state: ServiceState, code: u8) {
        let is_pending = matches!(
            state,
            ServiceState::StartPending | ServiceState::StopPending
        );
        let accepted = match state {
            ServiceState::Running => {
                ServiceControlAccept::STOP
                    | ServiceControlAccept::SHUTDOWN
                    | ServiceControlAccept::PARAM_CHANGE
            }
            _ => ServiceControlAccept::empty(),
        };
        let _ = self.manager.set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepted,
            exit_code: match code {
                0 => ServiceExitCode::NO_ERROR,
                code => ServiceExitCode::ServiceSpecific(code.into()),
            },
            checkpoint: u32::from(is_pending),
            wait_hint: if is_pending { PATIENCE } else { Duration::ZERO },
            process_id: None,
        });
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        // A panic while the lock is held leaves no partial update.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
