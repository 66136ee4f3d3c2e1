//! The conformance suite over a real NATS server: the engine's end reaches it through a proxy that cuts and stalls.

#[path = "../../tests/common/broker.rs"]
mod broker;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use conformance::{
    CASES, Capabilities, Control, Endpoints, Fixture, FixtureError, Observed, Proxy, delayed_tcp, run_at_once, suite,
};
use connector_core::{
    ConnectError, DecodeError, Link, LinkEnd, Message, PluginConnector, SendError, Traffic, async_trait,
};

use self::broker::Broker;
use super::NatsLink;
use crate::{NatsConfig, NatsConnector, NatsServer};

/// With this delay between the engine and the server, each way.
struct Nats(Duration);

/// The cases sometimes leave an end unpolled for a moment, so shorter limits would fail spuriously.
fn config(address: SocketAddr) -> NatsConfig {
    let config = NatsConfig::new(format!("nats://{address}"));
    config.probe_interval(Duration::from_secs(1)).silence(Duration::from_secs(6))
}

#[async_trait]
impl Fixture for Nats {
    fn capabilities(&self) -> Capabilities {
        let has = Capabilities::default().max_message(16 << 20).silence(Duration::from_secs(12));
        let has = has.round_trip(2 * self.0);
        has.cut().stall().inject().inject_raw().idle_connections().count_connections()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let broker = Broker::start()?;
        let server = NatsServer::bind("probe", config(broker.address())).await?;
        let url = server.url();
        let (proxy, mut address) = Proxy::tcp(broker.address(), |frame| frame.as_bytes().to_vec()).await?;
        if !self.0.is_zero() {
            address = delayed_tcp(address, self.0).await?;
        }
        let newest = Arc::<Newest>::default();
        let (config, links) = (config(address), Arc::clone(&newest));
        let connector = move || Dial(NatsConnector::new(config.clone()), Arc::clone(&links));
        Ok(Endpoints::new(url, server, connector).control(OverProxy { proxy, newest, _broker: broker }))
    }
}

type Newest = Mutex<Weak<Mutex<NatsLink>>>;

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connector whose newest link can be made to send anything.
struct Dial(NatsConnector, Arc<Newest>);

#[async_trait]
impl PluginConnector for Dial {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let link = Arc::new(Mutex::new(self.0.open(url).await?));
        *lock(&self.1) = Arc::downgrade(&link);
        Ok(Box::new(Shared(link)))
    }
}

struct Shared(Arc<Mutex<NatsLink>>);

impl Link for Shared {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        lock(&self.0).poll_ready(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        lock(&self.0).send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        lock(&self.0).poll_flush(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        lock(&self.0).poll_message(cx)
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        lock(&self.0).poll_disconnect(cx)
    }

    fn traffic(&self) -> Traffic {
        lock(&self.0).traffic()
    }

    fn notices_silence(&self) -> bool {
        lock(&self.0).notices_silence()
    }

    fn max_message(&self) -> Option<usize> {
        lock(&self.0).max_message()
    }
}

struct OverProxy {
    proxy: Proxy,
    newest: Arc<Newest>,
    _broker: Broker,
}

impl Control for OverProxy {
    fn cut(&self) {
        self.proxy.cut();
    }

    fn heal(&self) {
        self.proxy.heal();
    }

    fn stall(&self) {
        self.proxy.stall();
    }

    /// As a message of the link: its own frame would need the link's next number.
    fn inject(&self, frame: &str) {
        let Some(link) = lock(&self.newest).upgrade() else { return };
        let mut link = lock(&link);
        let pushed = link.outbox.push_with(|text| {
            text.extend_from_slice(frame.as_bytes());
            Ok(())
        });
        assert!(pushed.is_ok() && link.poll_send().is_ready(), "the link is not ready");
    }

    /// Into the connection to the server.
    fn inject_raw(&self, bytes: &[u8]) {
        self.proxy.inject_raw(bytes);
    }

    fn connect_idle(&self) {
        self.proxy.connect_idle();
    }

    fn open_connections(&self) -> usize {
        self.proxy.open_connections()
    }
}

suite!(Nats(Duration::ZERO));

/// Every case, several at once: most of the time they wait.
fn passes(fixture: &impl Fixture) {
    let report = run_at_once(fixture, NonZeroUsize::new(8).unwrap());
    assert_eq!(report.counts(), (CASES.len(), 0, 0), "{report}");
}

#[test]
fn a_delay_of_50_ms_changes_nothing() {
    passes(&Nats(Duration::from_millis(50)));
}

#[test]
fn an_observer_changes_nothing() {
    passes(&Observed(Nats(Duration::ZERO)));
}
