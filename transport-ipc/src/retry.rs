//! Decides which I/O errors are worth a retry.

use std::io::{Error, ErrorKind};

/// Whether a retry is pointless because a path, a permission or an argument is wrong. Errors that pass on their own, such
/// as too many open files, are not permanent.
pub(crate) fn is_permanent(error: &Error) -> bool {
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
    kind || is_permanent_here(error)
}

/// Permanent errors that have no [`ErrorKind`].
#[cfg(unix)]
fn is_permanent_here(error: &Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::LOOP, Errno::NOEXEC, Errno::NOTSOCK, Errno::PROTOTYPE, Errno::NODEV, Errno::NXIO];
    error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw_os_error(code)))
}

#[cfg(not(unix))]
fn is_permanent_here(_: &Error) -> bool {
    false
}
