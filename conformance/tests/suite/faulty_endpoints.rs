//! The two ends of a transport with one fault, wrapped around the in-memory transport.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{Capabilities, Control, Endpoints, Fixture, FixtureError, Memory, MemoryClient, Switch, memory};
use connector_core::{ClientConnector, ConnectError, Link, LinkEnd, Message, PluginConnector, async_trait};
use futures_util::FutureExt;

use crate::faulty::Fault::{self, *};
use crate::faulty_halves::Halves;
use crate::faulty_link::FaultyLink;

/// State that the links of a faulty transport share.
#[derive(Clone, Default)]
pub(crate) struct Shared(pub(crate) Arc<Mutex<SharedState>>);

#[derive(Default)]
pub(crate) struct SharedState {
    links: usize,
    accepted: usize,
    /// Messages that the plugin's end of an ended link had not returned.
    pub(crate) unread: Vec<Message>,
    /// Nothing is delivered.
    pub(crate) stalled: bool,
    idle: usize,
    /// Links are reset instead of closed.
    pub(crate) reset: bool,
    /// The second of two links that were accepted at once and got mixed up.
    mixed: Option<Box<dyn Link>>,
}

pub(crate) struct Faulty(pub(crate) Fault);

#[async_trait]
impl Fixture for Faulty {
    fn capabilities(&self) -> Capabilities {
        let has = Memory.capabilities().idle_connections();
        match self.0 {
            Nothing | SilenceIsLoss => has.silence(Duration::from_secs(10)),
            _ => has,
        }
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let (plugin, client, switch) = memory();
        let (fault, shared) = (self.0, Shared::default());
        let accepts = FaultyEnd { inner: client, fault, shared: shared.clone(), switch: switch.clone() };
        let control = FaultyControl(fault, switch.clone(), shared.clone());
        let connector =
            move || FaultyEnd { inner: plugin.clone(), fault, shared: shared.clone(), switch: switch.clone() };
        Ok(Endpoints::new("memory://", accepts, connector).control(control))
    }
}

struct FaultyControl(Fault, Switch, Shared);

impl Control for FaultyControl {
    fn cut(&self) {
        Control::cut(&self.1);
    }

    fn heal(&self) {
        Control::heal(&self.1);
    }

    fn stall(&self) {
        self.2.0.lock().unwrap().stalled = true;
        Control::stall(&self.1);
    }

    fn connect_idle(&self) {
        self.2.0.lock().unwrap().idle += 1;
    }

    fn open_connections(&self) -> usize {
        self.1.open_connections()
    }

    fn inject_raw(&self, bytes: &[u8]) {
        self.1.inject_raw(bytes);
    }

    fn inject(&self, frame: &str) {
        match self.0 {
            IgnoresOldNames if frame.contains("\"call\"") => self.1.inject("{}"),
            _ => self.1.inject(frame),
        }
    }
}

struct FaultyEnd<T> {
    inner: T,
    fault: Fault,
    shared: Shared,
    switch: Switch,
}

impl<T> FaultyEnd<T> {
    fn link(&self, inner: Box<dyn Link>, is_engine: bool, is_first: bool) -> Box<dyn Link> {
        Box::new(FaultyLink::new(inner, self.fault, self.shared.clone(), is_engine, is_first))
    }
}

#[async_trait]
impl<T: PluginConnector> PluginConnector for FaultyEnd<T> {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let count = {
            let mut state = self.shared.0.lock().unwrap();
            state.links += 1;
            state.links
        };
        if self.fault == TimeOutIsRefusal && self.shared.0.lock().unwrap().stalled {
            tokio::time::sleep(Duration::from_secs(1)).await;
            return Err(ConnectError::Refused("no answer".to_owned()));
        }
        if self.fault == GivesUpAtALoss && count > 1 {
            return Err(ConnectError::given_up("the link was lost once"));
        }
        if self.fault == OneEngine {
            self.switch.cut();
        }
        match (self.inner.connect(url).await, self.fault) {
            (Err(_), ConnectHangs) => std::future::pending().await,
            (Err(_), ConnectLies) => {
                let (here, there) = conformance::memory_pair();
                std::mem::forget(there);
                Ok(here)
            }
            (Err(_), SaysNothing) => Err(ConnectError::Refused(String::new())),
            (Ok(link), CancelLeaks) => {
                let mut leak = Leak(Some(link));
                tokio::task::yield_now().await;
                Ok(self.link(leak.0.take().unwrap(), true, count == 1))
            }
            (made, _) => Ok(self.link(made?, true, count == 1)),
        }
    }
}

#[async_trait]
impl ClientConnector for FaultyEnd<MemoryClient> {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let count = self.shared.0.lock().unwrap().links;
        if self.fault == AcceptsOnce && count > 1 {
            std::future::pending::<()>().await;
        }
        let (accepted, idle, mixed) = {
            let mut state = self.shared.0.lock().unwrap();
            (state.accepted, state.idle, state.mixed.take())
        };
        if (self.fault == AcceptsTen && accepted >= 10) || (self.fault == IdleBlocks && idle > 0) {
            std::future::pending::<()>().await;
        }
        if let Some(mixed) = mixed {
            return Ok(mixed);
        }
        let mut made = self.inner.accept().await?;
        self.shared.0.lock().unwrap().accepted += 1;
        if self.fault == SwapsHalves
            && let Some(second) = self.inner.accept().now_or_never()
        {
            let (first, second) = Halves::swap(made, second?);
            self.shared.0.lock().unwrap().mixed = Some(second);
            made = first;
        }
        if self.fault == AcceptLosesLinks {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let count = self.shared.0.lock().unwrap().links;
        Ok(self.link(made, false, count <= 1))
    }
}

/// A link that is leaked instead of closed, unless it is taken out.
struct Leak(Option<Box<dyn Link>>);

impl Drop for Leak {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}
