//! Sockets in temporary directories, and links over them.

pub(crate) use std::collections::HashSet;
pub(crate) use std::fs;
pub(crate) use std::future::poll_fn;
pub(crate) use std::os::unix::fs::{PermissionsExt, symlink};
pub(crate) use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
pub(crate) use std::path::{Path, PathBuf};
pub(crate) use std::sync::atomic::{AtomicU32, Ordering};
pub(crate) use std::sync::{Arc, Barrier};
pub(crate) use std::task::Poll;
pub(crate) use std::time::Duration;

pub(crate) use conformance::links::*;
pub(crate) use conformance::{EXPECTED, SCRIPT, Script, probe, run_script};
pub(crate) use connector_core::{
    Action, ClientConfig, ClientConnector, ConnectError, Engine, ExternalProfile, LinkEnd, Payload, Plugin,
    PluginConnector, Registration, SendError, async_trait,
};
pub(crate) use futures_util::poll;
pub(crate) use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
pub(crate) use tempfile::TempDir;
pub(crate) use tokio::io::{AsyncReadExt, AsyncWriteExt};
pub(crate) use tokio::net::UnixStream;
pub(crate) use transport_ipc::IpcConfig;
pub(crate) use transport_ipc::local::{self, BindError, LocalConfig, LocalConnector, LocalName, LocalServer};

/// A directory for one socket.
pub(crate) struct SocketDir(pub(crate) TempDir);

impl SocketDir {
    pub(crate) fn new() -> SocketDir {
        SocketDir(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("s")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.path().join("s.lock")
    }

    pub(crate) fn name(&self) -> LocalName {
        LocalName::parse(self.path().to_str().unwrap()).unwrap()
    }

    pub(crate) fn bind(&self) -> Result<LocalServer, BindError> {
        LocalServer::bind(&self.name(), LocalConfig::default())
    }

    /// Leaves a socket behind as a killed server does.
    pub(crate) fn crash(&self) {
        drop(StdListener::bind(self.path()).unwrap());
        assert!(self.path().exists());
    }
}

/// Both ends of a link: the server's and the dialler's.
pub(crate) async fn connected(server: &mut LocalServer, name: &LocalName, config: IpcConfig) -> (TestLink, TestLink) {
    let (served, dialled) = soon(async { tokio::join!(server.accept(), local::dial(name, config)) }).await;
    let (served, dialled) = (served.unwrap(), dialled.unwrap());
    served.handshake_completed();
    (served, dialled)
}

pub(crate) async fn pair(config: IpcConfig) -> (TestLink, TestLink) {
    let dir = SocketDir::new();
    let mut server = LocalServer::bind(&dir.name(), LocalConfig::default().ipc(config.clone())).unwrap();
    connected(&mut server, &dir.name(), config).await
}

/// The server's end of a link, and a raw socket.
pub(crate) async fn raw_pair(config: IpcConfig) -> (TestLink, UnixStream) {
    let dir = SocketDir::new();
    let mut server = LocalServer::bind(&dir.name(), LocalConfig::default().ipc(config)).unwrap();
    let raw = UnixStream::connect(dir.path()).await.unwrap();
    let link = soon(server.accept()).await.unwrap();
    link.handshake_completed();
    (link, raw)
}

/// Sends until the link is full. Returns how many messages it accepted.
pub(crate) async fn fill_link(link: &mut TestLink) -> i64 {
    let mut sent = 0;
    while poll_fn(|cx| Poll::Ready(link.poll_ready(cx))).await.is_ready() {
        link.send(emit(sent, Payload::new("x".repeat(64 << 10)))).unwrap();
        sent += 1;
    }
    sent
}

/// Asserts that dialling the name reaches this server.
pub(crate) async fn assert_serves(server: &mut LocalServer, name: &LocalName) {
    let (mut served, mut dialled) = connected(server, name, IpcConfig::default()).await;
    send(&mut dialled, emit(1, Payload::null())).await.unwrap();
    assert_eq!(next_id(&mut served).await, 1);
}

pub(crate) fn assert_refused(error: &ConnectError, part: &str) {
    assert!(matches!(error, ConnectError::Refused(text) if text.contains(part)), "{error}");
}

pub(crate) fn assert_in_use(bound: Result<LocalServer, BindError>) {
    let error = bound.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("stop it, connect to it"), "{error}");
}

/// Opens connections until the backlog is full.
pub(crate) fn fill(path: &Path) -> Vec<rustix::fd::OwnedFd> {
    let mut waiting = vec![];
    loop {
        let one = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::io::ioctl_fionbio(&one, true).unwrap();
        if rustix::net::connect(&one, &SocketAddrUnix::new(path).unwrap()).is_err() {
            return waiting;
        }
        waiting.push(one);
    }
}
