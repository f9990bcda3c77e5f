//! What helps to find a fault and names no one, for bug reports.

use super::daemon::{count, state_of};
use super::session::ApiState;
use super::{conditions, convert};
use crate::config::Config;
use crate::log;
use m2_engine::Query;
use m2_proto::api::v1::{GetDiagnosticsResponse, GetStatusResponse};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use tonic::Status;

/// The most characters of a line of the log.
const LINE: usize = 500;

/// What the daemon knows from its start.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// The settings of the configuration file, without anything private.
    settings: Vec<String>,
    /// Texts that no line may contain: they name directories of the user.
    private: Vec<String>,
}

impl Diagnostics {
    /// Collects the settings. Error messages in the log may contain `paths`, the files that the
    /// configuration names, or the user's home directory: these are replaced.
    pub fn new(config: &Config, paths: [&Path; 3]) -> Self {
        let files = [&config.circle.secret_file, &config.identity.passphrase_file];
        let files = files.into_iter().flatten().map(PathBuf::as_path);
        let homes = ["HOME", "USERPROFILE"]
            .into_iter()
            .filter_map(std::env::var_os);
        let paths = paths.into_iter().chain(files);
        let paths = paths.map(|path| path.display().to_string());
        let homes = homes.map(|home| home.to_string_lossy().into_owned());
        let mut private: Vec<String> = paths.chain(homes).collect();
        private.retain(|text| text.len() > 1);
        private.sort_by_key(|text| Reverse(text.len()));
        Self {
            settings: config.summary.clone(),
            private,
        }
    }

    /// Replaces private texts in a line, and cuts it.
    fn redacted(&self, line: String) -> String {
        let private = self.private.iter();
        let line = private.fold(line, |line, text| line.replace(text.as_str(), "(path)"));
        line.chars().take(LINE).collect()
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
        settings: state.reloaded.settings().unwrap_or(known.settings.clone()),
        ..GetDiagnosticsResponse::default()
    };
    let mut warnings = conditions::of_daemon(state);
    let mut counted = GetStatusResponse::default();
    count(&mut counted, state.connections.counters());
    if let Ok(ready) = state.ready() {
        warnings.extend(ready.warnings.iter().cloned());
        warnings.extend(conditions::of_parts(ready));
        count(&mut counted, ready.counters.snapshot());
        count(&mut counted, ready.endpoint.stats().counters);
        if let Ok(summary) = ready.engine.read(Query::Summary).await {
            found.sessions = Some(summary.sessions);
            found.contacts = Some(summary.contacts);
            warnings.extend(summary.warnings);
        }
        found.queued_messages = ready.readers.read(|reader| reader.queued()).await.ok();
    }
    (found.refused, found.counts) = (counted.refused, counted.counts);
    warnings.extend(conditions::of_disk(state));
    let texts = warnings.into_iter().map(|warning| warning.text);
    found.warnings = texts.map(|text| known.redacted(text)).collect();
    let log = log::recent().into_iter();
    found.log = log.map(|line| known.redacted(line)).collect();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_user_are_replaced() {
        let paths = ["/srv/miller/data", "/run/miller.sock", "/srv/miller"].map(Path::new);
        let known = Diagnostics::new(&Config::default(), paths);
        let line = "can't open /srv/miller/data/store.db".to_owned();
        assert_eq!(known.redacted(line), "can't open (path)/store.db");
        let long = format!("{}/srv/miller/data", "x".repeat(LINE - 5));
        assert!(
            !known.redacted(long).contains("mill"),
            "it is cut afterwards"
        );
    }
}
