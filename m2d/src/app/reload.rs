//! Reloads the configuration when the system requests it: by SIGHUP, or a request of the service manager.

use super::{Failure, Plan, plan, settings};
use crate::api::ApiState;
use crate::args::RunArgs;
use crate::config::{Change, Config};
use crate::log;
use crate::service::{Notice, tell};
use m2_engine::Tunable;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The request of a reload, as the log names it.
#[cfg(unix)]
const REQUEST: &str = "SIGHUP";
#[cfg(windows)]
const REQUEST: &str = "Service manager";

/// Reads the configuration again and applies what can change while the daemon runs.
pub(super) struct Reloader {
    args: RunArgs,
    /// The configuration with which the daemon started.
    started: Config,
    file: PathBuf,
    /// The configuration that was read last.
    latest: Config,
    tunable: watch::Sender<Tunable>,
    state: Arc<ApiState>,
}

impl Reloader {
    pub(super) fn new(args: &RunArgs, plan: &Plan, state: Arc<ApiState>) -> Self {
        Self {
            args: args.clone(),
            started: plan.config.clone(),
            file: plan.file.clone(),
            latest: plan.config.clone(),
            tunable: watch::Sender::new(settings::tunable(&plan.config)),
            state,
        }
    }

    /// Returns the settings of the engine, which follow each reload.
    pub(super) fn tunable(&self) -> watch::Receiver<Tunable> {
        self.tunable.subscribe()
    }

    /// Reloads at each request until the daemon stops.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<()>, stop: CancellationToken) {
        while let Some(Some(())) = stop.run_until_cancelled(requests.recv()).await {
            tracing::info!("{REQUEST}: the configuration is reloaded");
            tell(&[Notice::Reloading]);
            match self.load() {
                Ok(config) => self.apply(config),
                Err(why) => self.keep(&why),
            }
            tell(&[Notice::Ready]);
        }
        // An end before that of the daemon would be a fault.
        stop.cancelled().await;
    }

    /// Returns the configuration if all of it is valid, otherwise the reason.
    fn load(&self) -> Result<Config, String> {
        let plan = plan(&self.args).map_err(|failure| match failure {
            Failure::Config(error) => error.brief(),
            other => other.to_string(),
        })?;
        log::set_filter(&plan.config.log.filter)
            .map_err(|error| format!("[log] filter: {error}"))?;
        Ok(plan.config)
    }

    fn keep(&self, why: &str) {
        tracing::error!("the configuration is invalid, so nothing was reloaded: {why}");
        self.state.reloaded.keep(format!(
            "The configuration was not reloaded, because it is invalid: {why}. The settings from \
             before are in force. Correct the file, check it with `m2d check-config --config {}`, and \
             reload it.",
            self.file.display()
        ));
    }

    fn apply(&mut self, config: Config) {
        for change in self.latest.changes(&config) {
            if change.is_applied() {
                tracing::info!(setting = %change, "a changed setting is in force");
            } else {
                tracing::warn!(setting = %change, "a changed setting takes effect at the next start");
            }
        }
        self.tunable.send_replace(settings::tunable(&config));
        let mut waiting = self.started.changes(&config);
        waiting.retain(|change| !change.is_applied());
        let settings = config.summary.clone();
        self.state
            .reloaded
            .replace(restart_warning(&waiting), settings);
        self.latest = config;
    }
}

fn restart_warning(waiting: &[Change]) -> Option<String> {
    let names: Vec<String> = waiting.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| {
        format!(
            "Changed settings take effect at the next start of the daemon: {}.",
            names.join(", ")
        )
    })
}
