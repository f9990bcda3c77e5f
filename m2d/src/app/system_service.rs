//! `m2d service`: the daemon as a service of Windows.

use super::{Failure, run};
use crate::args::{RunArgs, ServiceCommand};
use crate::service::{self, End, ServiceError};
use crate::{log, paths};

/// The log's file name in the data directory.
const LOG_NAME: &str = "m2d.log";

/// Installs, removes or runs the service. Returns a text for the user.
pub fn service(command: ServiceCommand) -> Result<String, Failure> {
    match command {
        ServiceCommand::Install { users } => {
            let data = service::install(&users)?;
            let data = data.display();
            Ok(format!(
                "The service m2d is installed and starts. Its configuration, data and log are in {data}."
            ))
        }
        ServiceCommand::Remove => {
            let data = service::remove()?;
            let data = data.display();
            Ok(format!(
                "The service m2d is removed. Its data stays in {data}."
            ))
        }
        ServiceCommand::Run(args) => {
            log::to_file(&paths::data_dir(&args.paths)?.join(LOG_NAME));
            let job = move || end_of(&args);
            service::run(job).map_err(ServiceError::from)?;
            Ok(String::new())
        }
    }
}

/// Runs the daemon, and writes its failure to the log.
fn end_of(args: &RunArgs) -> End {
    let Err(failure) = run(args) else {
        log::flush();
        return End::Stopped;
    };
    log::fatal(&format!("m2d: {failure}"));
    let code = failure.exit_code();
    match failure.is_permanent() {
        true => End::Failed(code),
        false => End::Broken(code),
    }
}
