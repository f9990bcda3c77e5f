//! What helps to find a fault and names no one, for bug reports.

use super::convert;
use super::daemon::{count, state_of, store_warnings, task_warnings};
use super::session::ApiState;
use crate::config::Config;
use crate::log;
use m2_proto::api::v1::{GetDiagnosticsResponse, GetStatusResponse};
use std::path::Path;
use std::time::Instant;
use tonic::Status;

/// What the daemon knows from its start.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// The settings of the configuration file, without anything private.
    settings: Vec<String>,
    /// Texts that no line may contain: they name directories of the user.
    private: Vec<String>,
}

impl Diagnostics {
    /// Collects the settings. Error messages in the log may contain `paths`, which are replaced.
    pub fn new(config: &Config, paths: [&Path; 2]) -> Self {
        let home = std::env::var("HOME").unwrap_or_default();
        let paths = paths.map(|path| path.display().to_string());
        let mut private: Vec<String> = paths.into_iter().chain([home]).collect();
        private.retain(|text| text.len() > 1);
        Self {
            settings: config.summary.clone(),
            private,
        }
    }

    /// Replaces private texts in a line.
    fn redacted(&self, line: String) -> String {
        let private = self.private.iter();
        private.fold(line, |line, text| line.replace(text.as_str(), "(path)"))
    }
}

/// Returns the diagnostics of a daemon.
pub(super) async fn collect(state: &ApiState) -> Result<GetDiagnosticsResponse, Status> {
    let known = &state.diagnostics;
    let mut found = GetDiagnosticsResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        state: state_of(state).into(),
        started: Some(convert::timestamp(state.started_ms)),
        settings: known.settings.clone(),
        warnings: state.connections.warnings(Instant::now()),
        ..GetDiagnosticsResponse::default()
    };
    let mut counted = GetStatusResponse::default();
    count(&mut counted, state.connections.counters());
    if let Ok(ready) = state.ready() {
        let store = ready.readers.store();
        found.warnings.extend(store_warnings(store));
        found.warnings.extend(task_warnings(ready));
        count(&mut counted, ready.counters.snapshot());
        count(&mut counted, ready.endpoint.stats().counters);
        if let Ok(summary) = ready.engine.read(|engine| engine.summary()).await {
            found.sessions = Some(summary.sessions);
            found.contacts = Some(summary.contacts);
        }
        found.queued_messages = ready.readers.read(|reader| reader.queued()).await.ok();
    }
    (found.refused, found.counts) = (counted.refused, counted.counts);
    let log = log::recent().into_iter();
    found.log = log.map(|line| known.redacted(line)).collect();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_user_are_replaced() {
        let paths = ["/srv/miller/data", "/run/miller.sock"].map(Path::new);
        let known = Diagnostics::new(&Config::default(), paths);
        let line = "can't open /srv/miller/data/store.db".to_owned();
        assert_eq!(known.redacted(line), "can't open (path)/store.db");
    }
}
