//! What a listing needs of the router, copied under its lock and described outside it.

use std::sync::Arc;

use connector_core::stp::StpService;

use super::listing::{StpCounters, StpListedService, StpListedSession, StpListing};

/// A service, and the number of requests that await its answers.
pub(super) type ServiceState = (Arc<StpService>, usize);

/// Sessions and their services.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) sessions: Vec<(Arc<str>, Vec<ServiceState>)>,
    pub(super) counters: StpCounters,
}

impl Snapshot {
    /// Adds the next service of this session, or the first one of the next session.
    pub(super) fn add(&mut self, session: &Arc<str>, service: ServiceState) {
        match self.sessions.last_mut().filter(|(last, _)| last == session) {
            Some((_, services)) => services.push(service),
            None => self.sessions.push((Arc::clone(session), vec![service])),
        }
    }

    /// At least this many bytes are needed to describe it.
    pub(super) fn min_size(&self) -> usize {
        let service = |(service, _): &ServiceState| {
            service.service_name.len() + service.solvables.iter().map(|name| name.len() + 3).sum::<usize>()
        };
        self.sessions.iter().map(|(id, services)| id.len() + services.iter().map(service).sum::<usize>()).sum()
    }

    pub(super) fn listing(&self) -> StpListing {
        let service = |(service, waiting): &ServiceState| {
            let StpService { service_name: name, language, solvables, machine_id, .. } = (**service).clone();
            StpListedService { name, language, machine_id, solvables, waiting: *waiting }
        };
        let session = |(id, services): &(Arc<str>, Vec<_>)| StpListedSession {
            id: id.to_string(),
            services: services.iter().map(service).collect(),
        };
        StpListing { sessions: self.sessions.iter().map(session).collect(), counters: self.counters }
    }
}
