//! `m2d check-config`: checks the configuration and the files that it names.

use super::Failure;
use crate::access::Users;
use crate::args::ConfigArgs;
use crate::config::Config;
use crate::{paths, unlock};

/// Reads the configuration and the files that it names. Returns a summary for the user.
pub fn check_config(args: &ConfigArgs) -> Result<String, Failure> {
    let (path, optional) = paths::config_file(args.config.as_ref())?;
    let config = Config::load(&path, optional)?;
    config.circle()?;
    Users::of_process(&config.access)?;
    unlock::passphrase(&config.identity)?.into_passphrase()?;
    let is_default = optional && !path.exists();
    let path = path.display();
    Ok(if is_default {
        format!("There is no file {path}, so every setting has its default.")
    } else {
        format!("The configuration in {path} is fine.")
    })
}
