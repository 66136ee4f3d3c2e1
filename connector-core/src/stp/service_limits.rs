//! Which services a hub refuses: the limits of a registration. Both ends check them.

use thiserror::Error;

use super::service::StpService;

const MAX_SOLVABLES: usize = 4096;
const MAX_NAME: usize = 1024;

/// An invalid registration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadService {
    /// The name is missing.
    #[error("a service must register with a non-empty \"serviceName\"")]
    NoName,
    /// The params do not match docs/protocol.md, section 8.2.
    #[error("a service must register with {{\"serviceName\", \"language\", \"solvables\": [string, …]}}: {0}")]
    NotAService(String),
    /// A name, id or solvable is too long, or there are too many solvables.
    #[error(
        "a service must register with at most {MAX_SOLVABLES} solvables, names and ids of at most {MAX_NAME} bytes"
    )]
    TooLarge,
}

impl StpService {
    /// Whether a hub would accept this service.
    ///
    /// # Errors
    /// Like [`from_params`](StpService::from_params).
    pub fn check(&self) -> Result<(), BadService> {
        if self.service_name.is_empty() {
            return Err(BadService::NoName);
        }
        let ids = [&self.machine_id, &self.session_id].into_iter().flatten();
        let mut texts = ids.chain(&self.solvables).chain([&self.service_name, &self.language]);
        match self.solvables.len() > MAX_SOLVABLES || texts.any(|text| text.len() > MAX_NAME) {
            true => Err(BadService::TooLarge),
            false => Ok(()),
        }
    }
}
