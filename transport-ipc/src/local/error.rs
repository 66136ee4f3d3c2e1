use std::io;

use thiserror::Error;

use super::name::NameError;

/// Why a server was not bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A live server has the name.
    #[error("{at} is in use by a server that is running: stop that one, attach to it, or serve under another name")]
    InUse {
        /// The socket.
        at: String,
    },
    /// A file or folder on the way is not what it has to be, or others could get at it. Nothing was changed.
    #[error("{at} {why}: remove it, or serve under another name")]
    NotPrivate {
        /// The file or folder.
        at: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The system refused.
    #[error("cannot listen at {at} ({error}){}", remedy(error))]
    Io {
        /// The file, folder or pipe.
        at: String,
        /// What the system said.
        error: io::Error,
    },
}

/// What to do about what the system refused.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => ": its folder does not exist; create it, or serve under another name",
        io::ErrorKind::PermissionDenied => ": this user may not write to its folder; serve under another name",
        _ => "",
    }
}

impl BindError {
    pub(super) fn io(at: impl ToString, error: impl Into<io::Error>) -> BindError {
        BindError::Io { at: at.to_string(), error: error.into() }
    }
}
