//! Listening at a Unix socket and connecting to one.

use std::io;
use std::time::Duration;

use connector_core::ConnectError;
use interprocess::local_socket::{ListenerOptions, ToFsName};
use interprocess::os::unix::local_socket::{FilesystemUdSocket, ListenerOptionsExt};
use interprocess::os::unix::uds_local_socket::tokio as uds;
use rustix::fs::Mode;

use super::super::error::BindError;
use super::super::name::LocalName;
use super::claim::Claim;
use super::folder;
use crate::retry::is_permanent;

/// Not interprocess's stream, which does not shut down, and whose connect succeeds while the server's backlog is full.
pub(crate) type Stream = tokio::net::UnixStream;

/// Only the owner may connect.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The delay between attempts while a server's backlog is full; the system does not notify the client.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// A listening socket.
// Fields are dropped in this order: the name must not be released before this server has stopped listening.
#[derive(Debug)]
pub(crate) struct Listener {
    inner: uds::Listener,
    claim: Claim,
}

impl Listener {
    pub(crate) fn bind(name: &LocalName) -> Result<Listener, BindError> {
        let path = folder::make_path(name)?;
        let mut claim = Claim::new(path, !name.is_fresh())?;
        let inner = match listen(&claim, true) {
            // The directory's mode or the check of the peer's user keeps other users out.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => listen(&claim, false),
            other => other,
        };
        let inner = inner.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { at: claim.at() },
            _ => BindError::io(claim.at(), error),
        })?;
        claim.bound();
        Ok(Listener { inner, claim })
    }

    /// The socket's path, unless it cannot be written as a name.
    pub(crate) fn address(&self) -> Option<LocalName> {
        LocalName::parse(self.claim.path().to_str()?).ok()
    }

    /// Cancel safe.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        self.inner.inner().accept().await.map(|(stream, _)| stream)
    }
}

fn listen(claim: &Claim, with_mode: bool) -> io::Result<uds::Listener> {
    let name = claim.path().to_fs_name::<FilesystemUdSocket>()?;
    let options = ListenerOptions::new().name(name).reclaim_name(false);
    match with_mode {
        true => options.mode(MODE.as_raw_mode()).create_tokio_as(),
        false => {
            let listener = options.create_tokio_as()?;
            rustix::fs::chmod(claim.path(), MODE)?;
            Ok(listener)
        }
    }
}

pub(crate) async fn connect(name: &LocalName) -> Result<Stream, ConnectError> {
    let path = folder::path(name).map_err(|error| ConnectError::Refused(error.to_string()))?;
    let at = path.display();
    let refused = |what: &str| {
        ConnectError::Refused(format!("{what} at {at}: start the program that serves \"{name}\", as the same user"))
    };
    let stream = loop {
        match Stream::connect(&path).await {
            Ok(stream) => break stream,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => tokio::time::sleep(RETRY_DELAY).await,
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => return Err(refused("no socket exists")),
                io::ErrorKind::ConnectionRefused => return Err(refused("no server listens")),
                io::ErrorKind::PermissionDenied => return Err(refused("this user may not connect")),
                _ if is_permanent(&error) => return Err(refused(&format!("the socket cannot be used ({error})"))),
                _ => return Err(ConnectError::failed(error)),
            },
        }
    };
    check_peer(&stream).map_err(|error| refused(&format!("connection rejected because {error},")))?;
    Ok(stream)
}

/// Checks that the other end runs as the same user.
pub(crate) fn check_peer(stream: &Stream) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own => Ok(()),
        Ok(peer) => Err(format!("the other end runs as user {}, not as {own}", peer.uid())),
        Err(error) => Err(format!("the other end's user cannot be determined ({error})")),
    }
}
