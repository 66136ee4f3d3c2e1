//! An in-memory transport with a switch that cuts it, for tests of the core and as a baseline for measurements.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use connector_core::async_trait;
use tokio::sync::mpsc;

use crate::runtime::lock;
use connector_core::{ClientConnector, ConnectError, DecodeError, Link, LinkEnd, Message, PluginConnector, SendError};

/// Frames that may be in transit before a link pushes back.
const CAPACITY: usize = 64;

/// A transport from engines to one plugin: the engine's end, the plugin's end, and the switch between them.
pub fn memory() -> (MemoryPlugin, MemoryClient, Switch) {
    let (dial, accept) = mpsc::channel(CAPACITY);
    let switch = Switch(Arc::default());
    (MemoryPlugin { dial, switch: switch.clone() }, MemoryClient(accept), switch)
}

/// Two ends of one link.
pub fn memory_pair() -> (Box<dyn Link>, Box<dyn Link>) {
    let pipe = Arc::default();
    (MemoryLink::boxed(&pipe, ENGINE), MemoryLink::boxed(&pipe, PLUGIN))
}

/// The engine's end. A clone is the end of another engine.
#[derive(Debug, Clone)]
pub struct MemoryPlugin {
    dial: mpsc::Sender<Box<dyn Link>>,
    switch: Switch,
}

/// The plugin's end.
pub struct MemoryClient(mpsc::Receiver<Box<dyn Link>>);

impl std::fmt::Debug for MemoryClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryClient")
    }
}

/// Cuts the links that are up, and controls whether new ones can be made.
#[derive(Debug, Clone)]
pub struct Switch(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    off: bool,
    links: Vec<Weak<Mutex<Pipe>>>,
}

impl Switch {
    /// Cuts the links that are up. Frames in transit are lost.
    pub fn cut(&self) {
        for pipe in self.links() {
            let mut pipe = lock(&pipe);
            pipe.cut = true;
            pipe.wake();
        }
    }

    /// Prevents (`true`) or allows (`false`) new links.
    pub fn refuse_connections(&self, off: bool) {
        lock(&self.0).off = off;
    }

    /// Stalls the links that are up: nothing is delivered, and neither end is notified.
    pub fn stall(&self) {
        for pipe in self.links() {
            lock(&pipe).stalled = true;
        }
    }

    /// Sends a frame, unchanged, to the plugin.
    pub fn inject(&self, frame: &str) {
        self.inject_raw(frame.as_bytes());
    }

    /// As [`inject`](Switch::inject), for a frame that need not be text.
    pub fn inject_raw(&self, frame: &[u8]) {
        if let Some(pipe) = self.links().last() {
            let mut pipe = lock(pipe);
            pipe.frames[ENGINE].push_back(Bytes::copy_from_slice(frame));
            pipe.wake();
        }
    }

    /// How many links are open at the engine's end.
    pub fn open_links(&self) -> usize {
        self.links().iter().filter(|pipe| !lock(pipe).closed[ENGINE]).count()
    }

    fn links(&self) -> Vec<Arc<Mutex<Pipe>>> {
        lock(&self.0).links.iter().filter_map(Weak::upgrade).collect()
    }
}

#[async_trait]
impl PluginConnector for MemoryPlugin {
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let pipe = Arc::default();
        {
            let mut state = lock(&self.switch.0);
            if state.off {
                return Err(ConnectError::Refused("the transport is switched off".to_owned()));
            }
            state.links.retain(|link| link.strong_count() > 0);
            state.links.push(Arc::downgrade(&pipe));
        }
        let (here, there) = (MemoryLink::boxed(&pipe, ENGINE), MemoryLink::boxed(&pipe, PLUGIN));
        self.dial.send(there).await.map_err(|_| ConnectError::Refused("the plugin's end was dropped".to_owned()))?;
        Ok(here)
    }
}

#[async_trait]
impl ClientConnector for MemoryClient {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.0.recv().await.ok_or(LinkEnd::Closed { code: None, reason: String::new() })
    }
}

const ENGINE: usize = 0;
const PLUGIN: usize = 1;

/// The state shared by the two ends of a link. In each array, the engine's entry comes first.
#[derive(Debug, Default)]
struct Pipe {
    /// Frames that each end has sent and the other has not received.
    frames: [VecDeque<Bytes>; 2],
    closed: [bool; 2],
    readers: [Option<Waker>; 2],
    writers: [Option<Waker>; 2],
    cut: bool,
    stalled: bool,
}

impl Pipe {
    /// Wakes both ends.
    fn wake(&mut self) {
        self.readers.iter_mut().chain(&mut self.writers).filter_map(Option::take).for_each(Waker::wake);
    }
}

struct MemoryLink {
    pipe: Arc<Mutex<Pipe>>,
    side: usize,
    end: Option<LinkEnd>,
}

impl MemoryLink {
    fn boxed(pipe: &Arc<Mutex<Pipe>>, side: usize) -> Box<dyn Link> {
        Box::new(MemoryLink { pipe: Arc::clone(pipe), side, end: None })
    }

    /// Polls the pipe with `look`, unless the link has ended or stalled.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        wakers: fn(&mut Pipe) -> &mut [Option<Waker>; 2],
        look: impl FnOnce(&mut Pipe, usize) -> Poll<Result<T, LinkEnd>>,
    ) -> Poll<Result<T, LinkEnd>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        let mut pipe = lock(&self.pipe);
        let looked = match &*pipe {
            Pipe { cut: true, .. } => Poll::Ready(Err(LinkEnd::lost("cut"))),
            Pipe { closed, .. } if closed[self.side] => Poll::Ready(Err(LinkEnd::Disconnected)),
            Pipe { stalled: true, .. } => Poll::Pending,
            _ => look(&mut pipe, self.side),
        };
        match &looked {
            Poll::Pending => wakers(&mut pipe)[self.side] = Some(cx.waker().clone()),
            Poll::Ready(Err(end)) => self.end = Some(end.clone()),
            Poll::Ready(Ok(_)) => {}
        }
        looked
    }

    fn close(&mut self) {
        let mut pipe = lock(&self.pipe);
        pipe.closed[self.side] = true;
        pipe.wake();
    }
}

fn closed<T>() -> Poll<Result<T, LinkEnd>> {
    Poll::Ready(Err(LinkEnd::Closed { code: None, reason: String::new() }))
}

impl Link for MemoryLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll(
            cx,
            |pipe| &mut pipe.writers,
            |pipe, side| match pipe.closed[1 - side] {
                // The reader returns received frames first and then reports the end.
                true if !pipe.frames[1 - side].is_empty() => Poll::Pending,
                true => closed(),
                false if pipe.frames[side].len() >= CAPACITY => Poll::Pending,
                false => Poll::Ready(Ok(())),
            },
        )
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        let frame = message.encode()?.into();
        if let Some(end) = &self.end {
            return Err(end.clone().into());
        }
        let mut pipe = lock(&self.pipe);
        pipe.frames[self.side].push_back(frame);
        if let Some(reader) = pipe.readers[1 - self.side].take() {
            reader.wake();
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll(cx, |pipe| &mut pipe.writers, |_, _| Poll::Ready(Ok(())))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.poll(
            cx,
            |pipe| &mut pipe.readers,
            |pipe, side| match pipe.frames[1 - side].pop_front() {
                Some(frame) => {
                    // Wakes the peer's writer, and this end's, which may have waited for the last frame to be read.
                    pipe.writers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
                    Poll::Ready(Ok(Message::decode(frame)))
                }
                None if pipe.closed[1 - side] => closed(),
                None => Poll::Pending,
            },
        )
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.close();
        Poll::Ready(())
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.close();
    }
}
