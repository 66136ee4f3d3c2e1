//! Standard input and output as a channel, the child's end.

use connector_core::{ConnectError, Link};

use crate::codec::Stray;
use crate::config::IpcConfig;
use crate::link::line_link;
use crate::pipes::Pipes;

#[cfg(unix)]
pub(super) fn connect(config: &IpcConfig) -> Result<Box<dyn Link>, ConnectError> {
    let (input, output) = unix::take()?;
    Ok(Box::new(line_link(Pipes::new(input, output), config, Stray::Report)))
}

/// Descriptors are not moved here, so a stray `print!` can corrupt a message.
#[cfg(not(unix))]
pub(super) fn connect(config: &IpcConfig) -> Result<Box<dyn Link>, ConnectError> {
    Ok(Box::new(line_link(Pipes::new(tokio::io::stdin(), tokio::io::stdout()), config, Stray::Report)))
}

#[cfg(unix)]
pub(super) use unix::socket;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    use connector_core::ConnectError;
    use rustix::fs::FileType;
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::net::unix::pipe;

    use super::super::nonblocking::Restoring;

    type Input = Box<dyn AsyncRead + Send + Unpin>;
    type Output = Box<dyn AsyncWrite + Send + Unpin>;

    /// Takes descriptors 0 and 1 and replaces them with an empty input and standard error.
    pub(super) fn take() -> Result<(Input, Output), ConnectError> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(ConnectError::Refused("standard input and output are a channel already".to_owned()));
        }
        let input = rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3).map_err(io::Error::from)?;
        let output = rustix::io::fcntl_dupfd_cloexec(io::stdout().as_fd(), 3).map_err(io::Error::from)?;
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing).map_err(io::Error::from)?;
        // Without a standard error, output is discarded.
        if rustix::stdio::dup2_stdout(io::stderr()).is_err() {
            rustix::stdio::dup2_stdout(&nothing).map_err(io::Error::from)?;
        }
        Ok((reader(input)?, writer(output)?))
    }

    fn kind(fd: &OwnedFd) -> io::Result<FileType> {
        Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
    }

    /// Pipes, or sockets as Node passes them, are read asynchronously; a terminal or a file is read in a thread.
    fn reader(fd: OwnedFd) -> io::Result<Input> {
        Ok(match kind(&fd)? {
            FileType::Fifo => match reopen(&fd, |path| pipe::OpenOptions::new().open_receiver(path)) {
                Some(pipe) => Box::new(pipe),
                None => Box::new(Restoring::new(fd, pipe::Receiver::from_owned_fd)?),
            },
            FileType::Socket => Box::new(Restoring::new(fd, socket)?),
            _ => Box::new(tokio::fs::File::from_std(fd.into())),
        })
    }

    fn writer(fd: OwnedFd) -> io::Result<Output> {
        Ok(match kind(&fd)? {
            FileType::Fifo => match reopen(&fd, |path| pipe::OpenOptions::new().open_sender(path)) {
                Some(pipe) => Box::new(pipe),
                None => Box::new(Restoring::new(fd, pipe::Sender::from_owned_fd)?),
            },
            FileType::Socket => Box::new(Restoring::new(fd, socket)?),
            _ => Box::new(tokio::fs::File::from_std(fd.into())),
        })
    }

    /// On Linux, opens a pipe a second time, which has separate flags: making it non-blocking affects no other process.
    #[cfg(target_os = "linux")]
    fn reopen<T>(fd: &OwnedFd, open: impl FnOnce(String) -> io::Result<T>) -> Option<T> {
        use std::os::fd::AsRawFd;
        open(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn reopen<T>(_: &OwnedFd, _: impl FnOnce(String) -> io::Result<T>) -> Option<T> {
        None
    }

    pub(crate) fn socket(fd: OwnedFd) -> io::Result<tokio::net::UnixStream> {
        let socket = UnixStream::from(fd);
        socket.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(socket)
    }
}
