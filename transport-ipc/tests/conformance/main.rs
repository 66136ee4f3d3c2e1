//! The conformance suite over local sockets, with a proxy between the ends.
#![cfg(all(unix, feature = "client", feature = "plugin"))]

mod proxy;

use conformance::{Capabilities, Control, Fixture, Place, PlaceError, suite};
use connector_core::async_trait;
use tempfile::TempDir;
use transport_ipc::IpcConfig;
use transport_ipc::local::{LocalConfig, LocalConnector, LocalName, LocalServer};

use self::proxy::Proxy;

struct Local;

/// The proxy, and the folder of both sockets.
struct Between(Proxy, #[expect(dead_code, reason = "kept")] TempDir);

impl Control for Between {
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

    fn stranger(&self) {
        self.0.stranger();
    }

    fn open(&self) -> usize {
        self.0.open()
    }
}

#[async_trait]
impl Fixture for Local {
    /// A stream that ends is all that a socket says, whoever ended it.
    fn capabilities(&self) -> Capabilities {
        let has = Capabilities::default().largest(15 << 20).tells_close_from_loss(false);
        has.cut().stall().inject().inject_raw().strangers().counts()
    }

    async fn place(&self) -> Result<Place, PlaceError> {
        let folder = tempfile::tempdir()?;
        let (socket, proxy) = (folder.path().join("s"), folder.path().join("p"));
        let server = LocalServer::bind(&LocalName::parse(&socket.to_string_lossy())?, LocalConfig::default())?;
        let url = proxy.to_string_lossy().into_owned();
        let between = Between(Proxy::start(&proxy, socket)?, folder);
        Ok(Place::new(url, server, || LocalConnector::new(IpcConfig::default())).control(between))
    }
}

suite!(Local, without: [TellsCloseFromLoss, Silence]);
