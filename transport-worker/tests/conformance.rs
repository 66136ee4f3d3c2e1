//! The conformance suite between threads of one process.
#![cfg(all(feature = "client", feature = "plugin"))]

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use conformance::{Capabilities, Control, Endpoints, Fixture, FixtureError, suite};
use connector_core::{
    ClientConnector, ConnectError, DecodeError, Link, LinkEnd, Message, PluginConnector, SendError, async_trait,
};
use transport_worker::{PairConnector, WorkerClient, pair};

struct Worker;

#[async_trait]
impl Fixture for Worker {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().text(false).max_unread(1000).cut()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let (connector, client) = pair(256);
        let threads = Threads::default();
        let (client, dialled) = (Accepting(client, threads.clone()), threads.clone());
        Ok(Endpoints::new("worker:probe", client, move || Dialling(connector.clone(), dialled.clone()))
            .control(threads))
    }
}

suite!(Worker, without: [Text, Stall, Inject, InjectRaw, IdleConnections, CountConnections, Silence]);

mod observed {
    use super::Worker;

    conformance::suite!(conformance::Observed(Worker), without: [Text, Stall, Inject, InjectRaw, IdleConnections, CountConnections, Silence]);
}

/// The plugin's ends of links, as threads hold them: a dying thread drops its link, whatever it was doing.
#[derive(Clone, Default)]
struct Threads(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    dead: bool,
    held: Vec<Held>,
}

#[derive(Clone)]
struct Held(Arc<Mutex<Slot>>);

/// The link, until the thread is dead, and the tasks that wait for it.
type Slot = (Option<Box<dyn Link>>, Vec<Waker>);

impl Threads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Control for Threads {
    fn cut(&self) {
        let mut state = self.state();
        state.dead = true;
        for held in state.held.drain(..) {
            let (link, wakers) = std::mem::take(&mut *held.0.lock().unwrap());
            drop(link);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    fn heal(&self) {
        self.state().dead = false;
    }
}

struct Accepting(WorkerClient, Threads);

#[async_trait]
impl ClientConnector for Accepting {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let held = Held(Arc::new(Mutex::new((Some(self.0.accept().await?), Vec::new()))));
        self.1.state().held.push(held.clone());
        Ok(Box::new(held))
    }
}

struct Dialling(PairConnector, Threads);

#[async_trait]
impl PluginConnector for Dialling {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        if self.1.state().dead {
            return Err(ConnectError::failed("the thread is dead"));
        }
        self.0.connect(url).await
    }
}

impl Held {
    /// Polls the thread's link, or reports that the thread is dead.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut dyn Link, &mut Context<'_>) -> Poll<Result<T, LinkEnd>>,
    ) -> Poll<Result<T, LinkEnd>> {
        let (link, wakers) = &mut *self.0.lock().unwrap();
        let Some(link) = link else { return Poll::Ready(Err(LinkEnd::lost("the thread is dead"))) };
        wakers.retain(|waker| !waker.will_wake(cx.waker()));
        wakers.push(cx.waker().clone());
        poll(&mut **link, cx)
    }
}

impl Link for Held {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll(cx, |link, cx| link.poll_ready(cx))
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        match &mut self.0.lock().unwrap().0 {
            Some(link) => link.send(message),
            None => Err(LinkEnd::lost("the thread is dead").into()),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll(cx, |link, cx| link.poll_flush(cx))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.poll(cx, |link, cx| link.poll_message(cx))
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, |link, cx| link.poll_disconnect(cx).map(Ok)).map(drop)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 = None;
    }
}
