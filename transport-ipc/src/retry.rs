//! Which failures of the system stay as they are until somebody puts something right.

use std::io::{Error, ErrorKind};

/// Whether trying again at once makes no sense: a path, a permission or an argument is wrong. What passes by itself, such
/// as too many open files, is not.
pub(crate) fn is_lasting(error: &Error) -> bool {
    use ErrorKind::{
        ArgumentListTooLong, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem, Unsupported,
    };
    let kind = matches!(
        error.kind(),
        ArgumentListTooLong
            | InvalidFilename
            | InvalidInput
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | ReadOnlyFilesystem
            | Unsupported
    );
    kind || is_lasting_here(error)
}

/// What has no kind of its own yet.
#[cfg(unix)]
fn is_lasting_here(error: &Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::LOOP, Errno::NOEXEC, Errno::NOTSOCK, Errno::PROTOTYPE, Errno::NODEV, Errno::NXIO];
    error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw_os_error(code)))
}

#[cfg(not(unix))]
fn is_lasting_here(_: &Error) -> bool {
    false
}
