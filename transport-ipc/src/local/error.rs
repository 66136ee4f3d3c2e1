use std::io;

use connector_core::BadSetting;
use thiserror::Error;

use super::name::NameError;

/// Why a server could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A setting with which nothing can work, for example a limit of 0.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// A live server has the name.
    #[error("{at} is in use by a running server: stop it, connect to it, or serve under another name")]
    InUse {
        /// The socket.
        at: String,
    },
    /// A file or directory on the path is not as required, or accessible to others. Nothing was changed.
    #[error("{at} {why}: remove it, or serve under another name")]
    NotPrivate {
        /// The file or directory.
        at: String,
        /// The reason.
        why: &'static str,
    },
    /// The system reported an error.
    #[error("cannot listen at {at} ({error}){}", remedy(error))]
    Io {
        /// The file, directory or pipe.
        at: String,
        /// The system's error.
        error: io::Error,
    },
}

/// How to fix an error of the system.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => ": its directory does not exist; create it, or serve under another name",
        io::ErrorKind::PermissionDenied => ": this user cannot write to its directory; serve under another name",
        _ => "",
    }
}

impl BindError {
    pub(super) fn io(at: impl ToString, error: impl Into<io::Error>) -> BindError {
        BindError::Io { at: at.to_string(), error: error.into() }
    }
}
