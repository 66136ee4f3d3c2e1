//! Exclusive ownership of a socket's path.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::super::error::BindError;

/// The exclusive right to bind a path and to remove a socket there; released when dropped.
///
/// Servers coordinate through a lock on the file `<socket>.lock`. The system releases it however a server dies, so a
/// socket whose lock is free has no owner. Checking the socket alone would not suffice: of two servers that find it dead,
/// the slower one would remove the new socket of the faster one. The lock file is never removed: otherwise one server
/// could hold the lock of the removed file while another locks a new one.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    lock: Option<File>,
    /// Device and inode of the bound socket.
    bound: Option<(u64, u64)>,
}

impl Claim {
    /// Claims `path`. Without a lock, for a unique name, no file is left behind and none removed.
    pub(super) fn new(path: PathBuf, with_lock: bool) -> Result<Claim, BindError> {
        let lock = if with_lock { Some(lock(&path)?) } else { None };
        let claim = Claim { path, lock, bound: None };
        if with_lock {
            claim.clear()?;
        }
        Ok(claim)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn at(&self) -> String {
        self.path.display().to_string()
    }

    /// Records that the socket at the path belongs to this claim, which removes it when dropped.
    pub(super) fn bound(&mut self) {
        self.bound = self.path.symlink_metadata().ok().map(|meta| id(&meta));
    }

    /// Removes a socket without a listener.
    fn clear(&self) -> Result<(), BindError> {
        let at = || self.at();
        let meta = match self.path.symlink_metadata() {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BindError::io(at(), error)),
        };
        if !meta.file_type().is_socket() {
            return Err(BindError::NotPrivate { at: at(), why: "is not a socket" });
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(BindError::NotPrivate { at: at(), why: "belongs to another user" });
        }
        // A server that uses no lock, or whose lock file was removed, must not be displaced either.
        if is_alive(&self.path).map_err(|error| BindError::io(at(), error))? {
            return Err(BindError::InUse { at: at() });
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BindError::io(at(), error)),
            _ => {
                tracing::debug!(path = %self.path.display(), "removed the socket of a dead server");
                Ok(())
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let here = self.path.symlink_metadata().ok().map(|meta| id(&meta));
        if self.bound.is_some() && here == self.bound {
            let _ = std::fs::remove_file(&self.path);
        }
        if let Some(lock) = &self.lock {
            // Closing the file would not release the lock while a starting child still has it open.
            let _ = flock(lock, FlockOperation::Unlock);
        }
    }
}

fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn lock(socket: &Path) -> Result<File, BindError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let at = || path.display().to_string();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits() as i32)
        .open(&path)
        .map_err(|error| BindError::io(at(), error))?;
    let meta = file.metadata().map_err(|error| BindError::io(at(), error))?;
    if !meta.is_file() {
        return Err(BindError::NotPrivate { at: at(), why: "is not a file" });
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(BindError::NotPrivate { at: at(), why: "belongs to another user" });
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(BindError::InUse { at: socket.display().to_string() }),
        Err(error) => Err(BindError::io(at(), error)),
    }
}

/// Whether a server listens at the socket. Does not block.
fn is_alive(path: &Path) -> io::Result<bool> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        // The two errors mean that the backlog is full. (Only Linux distinguishes that from a dead server; elsewhere the lock
        // decides.)
        Ok(()) | Err(Errno::WOULDBLOCK | Errno::INPROGRESS) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
