use connector_core::{BadSetting, ConnectError};
use thiserror::Error;

use crate::subjects::SubjectError;

/// Why a plugin cannot be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting with which nothing can work, for example a limit of 0.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The plugin's name, the prefix or the replica's id cannot be part of a subject.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The server is unreachable or does not accept the login.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server does not allow this program to use one of the plugin's subjects.
    #[error("the plugin cannot be served: {0}")]
    Forbidden(String),
    /// The plugin cannot be a NATS service: its name, its profile or its methods.
    #[error("{0}")]
    Service(String),
}
