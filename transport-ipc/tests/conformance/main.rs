//! The conformance suite over local sockets, with a proxy between the ends.
#![cfg(all(unix, feature = "client", feature = "plugin"))]

use std::path::{Path, PathBuf};

use conformance::{Capabilities, Control, Endpoints, Fixture, FixtureError, Proxy, suite};
use connector_core::async_trait;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use transport_ipc::IpcConfig;
use transport_ipc::local::{LocalConfig, LocalConnector, LocalName, LocalServer};

struct Local;

/// The proxy, and the directory of both sockets.
struct ProxyInDirectory(Proxy, #[expect(dead_code, reason = "removes the directory when dropped")] TempDir);

impl Control for ProxyInDirectory {
    fn cut(&self) {
        self.0.cut();
    }

    fn heal(&self) {
        self.0.heal();
    }

    fn stall(&self) {
        self.0.stall();
    }

    fn inject(&self, frame: &str) {
        self.0.inject(frame);
    }

    fn inject_raw(&self, bytes: &[u8]) {
        self.0.inject_raw(bytes);
    }

    fn connect_idle(&self) {
        self.0.connect_idle();
    }

    fn open_connections(&self) -> usize {
        self.0.open_connections()
    }
}

/// Starts a proxy at `path` to `target`. It runs until the runtime ends.
fn start_proxy(path: &Path, target: PathBuf) -> std::io::Result<Proxy> {
    let listener = UnixListener::bind(path)?;
    let server = target.clone();
    let proxy = Proxy::new(|frame| format!("{frame}\n").into_bytes())
        .with_idle_connections(move || std::os::unix::net::UnixStream::connect(&server));
    let carrier = proxy.clone();
    tokio::spawn(async move {
        while let Ok((engine, _)) = listener.accept().await {
            carrier.carry(engine, UnixStream::connect(target.clone()));
        }
    });
    Ok(proxy)
}

#[async_trait]
impl Fixture for Local {
    /// A socket reports only the end of its stream, whatever ended it.
    fn capabilities(&self) -> Capabilities {
        let has = Capabilities::default().max_message(15 << 20).distinguishes_loss(false);
        has.cut().stall().inject().inject_raw().idle_connections().count_connections()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let directory = tempfile::tempdir()?;
        let (socket, proxy) = (directory.path().join("s"), directory.path().join("p"));
        let server = LocalServer::bind(&LocalName::parse(&socket.to_string_lossy())?, LocalConfig::default())?;
        let url = proxy.to_string_lossy().into_owned();
        let control = ProxyInDirectory(start_proxy(&proxy, socket)?, directory);
        Ok(Endpoints::new(url, server, || LocalConnector::new(IpcConfig::default())).control(control))
    }
}

suite!(Local, without: [DistinguishesLoss, Silence]);

mod observed {
    use super::Local;

    conformance::suite!(conformance::Observed(Local), without: [DistinguishesLoss, Silence]);
}
