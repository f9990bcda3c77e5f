//! Health checks (`grpc.health.v1`).

use m2_proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The package whose services each have a separate health status.
const PACKAGE: &str = "m2.api.v1";

/// The health of the daemon as a whole and of each service. While the daemon is locked, all are
/// NOT_SERVING, although GetStatus and Unlock are available.
#[derive(Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: Vec<String>,
}

impl Health {
    /// Returns the health of a daemon that is not ready yet.
    pub(super) async fn new() -> Self {
        let services = services().into_iter();
        let health = Self {
            reporter: HealthReporter::new(),
            // The empty name stands for the daemon as a whole.
            services: services.chain([String::new()]).collect(),
        };
        health.report(ServingStatus::NotServing).await;
        health
    }

    /// Returns the service that answers health checks.
    pub(super) fn server(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Reports the same status for everything.
    pub(super) async fn report(&self, status: ServingStatus) {
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Reports that nothing is served any more, and ends the streams of watchers.
    pub async fn stop(&self) {
        self.report(ServingStatus::NotServing).await;
        let mut reporter = self.reporter.clone();
        for service in &self.services {
            reporter.clear_service_status(service).await;
        }
    }
}

/// Returns the full names of the API's services.
fn services() -> Vec<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let files = set.file.iter().filter(|file| file.package() == PACKAGE);
    let services = files.flat_map(|file| &file.service);
    services
        .map(|service| format!("{PACKAGE}.{}", service.name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::services;

    #[test]
    fn every_service_has_a_health_status() {
        let services = services();
        assert!(services.len() >= 10, "{services:?}");
        assert!(services.contains(&"m2.api.v1.MessageService".to_owned()));
    }
}
