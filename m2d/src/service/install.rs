//! Installs the daemon as a service of Windows, and removes it (docs/operator/windows.md).

use super::manager::NAME;
use m2_proto::socket::{SERVICE_SID, SYSTEM};
use m2_windows::{Descriptor, Sid, directory};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

/// The account of the service. The system creates it, it has no password, and no other program uses it.
const ACCOUNT: &str = r"NT SERVICE\m2d";

const DESCRIPTION: &str = "Owns the keys and messages of the M2 messenger.";

/// The pauses before the restarts after failures.
const PAUSES_S: [u64; 3] = [2, 10, 60];

/// Errors of the service manager.
const ERROR_ACCESS_DENIED: u32 = 5;
const ERROR_SERVICE_DOES_NOT_EXIST: u32 = 1_060;
const ERROR_FAILED_SERVICE_CONTROLLER_CONNECT: u32 = 1_063;
const ERROR_SERVICE_EXISTS: u32 = 1_073;

/// How long the service must run without a failure until the pauses begin from the first one again.
const RESET: Duration = Duration::from_secs(3_600);

/// The service can't be installed or removed.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The user is no administrator, or the process is not elevated.
    #[error(
        "Only administrators may change services. Run the command in a terminal that was started with \
         \"Run as administrator\"."
    )]
    Denied,
    /// The service exists.
    #[error("The service m2d is installed already. Remove it first, with `m2d service remove`.")]
    Exists,
    /// The service does not exist.
    #[error("The service m2d is not installed. Install it with `m2d service install`.")]
    Missing,
    /// The service manager reported another error.
    #[error("The service manager reported: {0}. `sc query m2d` shows the state of the service.")]
    Manager(String),
    /// The process was not started by the service manager.
    #[error(
        "`m2d service run` is the command of the service manager, which did not start it. Start the \
         service with `sc start m2d`, or the daemon in this terminal with `m2d run`."
    )]
    NotAService,
    /// The system has no directory for the data of services.
    #[error("The variable ProgramData is not set, so there is no place for the service's data.")]
    NoPlace,
    /// The data directory can't be created or protected.
    #[error("{path} can't be used: {source}. Run the command as administrator.")]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The data directory was created by a user that is no administrator, who could have left anything in it.
    #[error(
        "{path} belongs to {owner}, who is no administrator: nothing was changed. Move the directory away."
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The security identifier of its owner.
        owner: String,
    },
}

impl From<windows_service::Error> for ServiceError {
    fn from(error: windows_service::Error) -> Self {
        let windows_service::Error::Winapi(error) = error else {
            return Self::Manager(error.to_string());
        };
        match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_ACCESS_DENIED) => Self::Denied,
            Some(ERROR_SERVICE_EXISTS) => Self::Exists,
            Some(ERROR_SERVICE_DOES_NOT_EXIST) => Self::Missing,
            Some(ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) => Self::NotAService,
            _ => Self::Manager(error.to_string()),
        }
    }
}

/// Returns the directory of the service's configuration, identity, store and log.
///
/// Errors: the system has none.
pub fn directory() -> Result<PathBuf, ServiceError> {
    let place = env::var_os("ProgramData").map(PathBuf::from);
    let place = place.filter(|place| place.is_absolute());
    Ok(place.ok_or(ServiceError::NoPlace)?.join(NAME))
}

/// Installs the service of this program, which starts with the system, and starts it. `users` may use the
/// daemon, in addition to administrators, unless there is a configuration already. Returns the data
/// directory.
///
/// Errors: those of the system.
pub fn install(users: &[String]) -> Result<PathBuf, ServiceError> {
    let data = directory()?;
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = ServiceManager::local_computer(None::<&str>, access)?;
    let program = env::current_exe().map_err(failed_at(Path::new("m2d.exe")))?;
    protect(&data)?;
    configure(&data, users)?;
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = manager.create_service(&info(program, &data), access)?;
    service.update_failure_actions(restarts())?;
    // Without these two, the service has no text and starts a little earlier.
    let _ = service.set_description(DESCRIPTION);
    let _ = service.set_delayed_auto_start(true);
    start(&service)?;
    Ok(data)
}

/// Stops the service and removes it. Its data stays. Returns the data directory.
///
/// Errors: there is no service, or those of the system.
pub fn remove() -> Result<PathBuf, ServiceError> {
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)?;
    let access = ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = manager.open_service(NAME, access)?;
    // A service that does not run can't be stopped.
    let _ = service.stop();
    service.delete()?;
    directory()
}

fn start(service: &Service) -> Result<(), ServiceError> {
    Ok(service.start::<OsString>(&[])?)
}

fn info(program: PathBuf, data: &Path) -> ServiceInfo {
    let mut arguments: Vec<OsString> = vec!["service".into(), "run".into()];
    for (option, value) in [
        ("--config", data.join("m2d.toml").into_os_string()),
        ("--data-dir", data.as_os_str().to_owned()),
        ("--socket", SYSTEM.into()),
    ] {
        arguments.extend([option.into(), value]);
    }
    ServiceInfo {
        name: NAME.into(),
        display_name: "M2 messenger".into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: arguments,
        dependencies: Vec::new(),
        account_name: Some(ACCOUNT.into()),
        account_password: None,
    }
}

fn restarts() -> ServiceFailureActions {
    let restart = |seconds| ServiceAction {
        action_type: ServiceActionType::Restart,
        delay: Duration::from_secs(seconds),
    };
    ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(RESET),
        reboot_msg: None,
        command: None,
        actions: Some(PAUSES_S.map(restart).to_vec()),
    }
}

/// Creates the data directory for the account of the service, the system and administrators alone.
fn protect(data: &Path) -> Result<(), ServiceError> {
    let failed = failed_at(data);
    let accounts = [SERVICE_SID, Sid::SYSTEM, Sid::ADMINISTRATORS];
    let descriptor = Descriptor::of_directory(&accounts).map_err(&failed)?;
    match directory::create(data, &descriptor) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let owner = directory::owner(data).map_err(&failed)?;
            if !accounts.contains(&owner) {
                return Err(ServiceError::Foreign {
                    path: data.to_owned(),
                    owner: owner.to_string(),
                });
            }
            directory::set(data, &descriptor).map_err(failed)
        }
        created => created.map_err(failed),
    }
}

/// Writes a configuration unless there is one.
fn configure(data: &Path, users: &[String]) -> Result<(), ServiceError> {
    let path = data.join("m2d.toml");
    if path.exists() {
        return Ok(());
    }
    let mut text =
        "# The configuration of the M2 service: docs/operator/configuration.md\n".to_owned();
    if !users.is_empty() {
        let users = users.iter().cloned().map(toml::Value::String).collect();
        let users = toml::Value::Array(users);
        text.push_str(&format!("[access]\nusers = {users}\n"));
    }
    fs::write(&path, text).map_err(failed_at(&path))
}

fn failed_at(path: &Path) -> impl Fn(io::Error) -> ServiceError {
    move |source| ServiceError::Directory {
        path: path.to_owned(),
        source,
    }
}
