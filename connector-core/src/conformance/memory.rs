//! A transport in memory, with a switch that cuts it: for tests of the core, and to measure other transports against.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, PollSender, WaitForCancellationFutureOwned};

use crate::connector::{ClientConnector, Link, LinkEnd, PluginConnector, SendError};
use crate::error::DecodeError;
use crate::message::Message;
use crate::sync::lock;

/// Frames that may be on the way before a link pushes back.
const ROOM: usize = 64;

/// A transport from one engine to one plugin: the engine's end, the plugin's end, and the switch between them.
pub fn memory() -> (MemoryPlugin, MemoryClient, Switch) {
    let (dial, accept) = mpsc::channel(ROOM);
    let switch = Switch(Arc::default());
    (MemoryPlugin { dial, switch: switch.clone() }, MemoryClient(accept), switch)
}

/// Two ends of one link.
pub fn memory_pair() -> (Box<dyn Link>, Box<dyn Link>) {
    pair(&CancellationToken::new())
}

fn pair(cut: &CancellationToken) -> (Box<dyn Link>, Box<dyn Link>) {
    let ((here, from_here), (there, from_there)) = (mpsc::channel(ROOM), mpsc::channel(ROOM));
    let link = |send, receive| {
        let cut = Box::pin(cut.clone().cancelled_owned());
        Box::new(MemoryLink { send: PollSender::new(send), receive, cut, end: None })
    };
    (link(here, from_there), link(there, from_here))
}

/// The engine's end.
#[derive(Debug)]
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

/// Cuts the link that is up, and decides whether another can be made.
#[derive(Debug, Clone)]
pub struct Switch(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    off: bool,
    cut: CancellationToken,
}

impl Switch {
    /// Cuts the link that is up; what is on its way is lost.
    pub fn cut(&self) {
        lock(&self.0).cut.cancel();
    }

    /// From now on no link can be made (`true`), or links can (`false`).
    pub fn turn_off(&self, off: bool) {
        lock(&self.0).off = off;
    }
}

#[async_trait]
impl PluginConnector for MemoryPlugin {
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, LinkEnd> {
        let cut = {
            let mut state = lock(&self.switch.0);
            if state.off {
                return Err(LinkEnd::Refused("it is switched off".to_owned()));
            }
            state.cut = CancellationToken::new();
            state.cut.clone()
        };
        let (here, there) = pair(&cut);
        self.dial.send(there).await.map_err(|_| LinkEnd::Refused("nobody accepts".to_owned()))?;
        Ok(here)
    }
}

#[async_trait]
impl ClientConnector for MemoryClient {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.0.recv().await.ok_or(LinkEnd::Closed { code: None, reason: String::new() })
    }
}

struct MemoryLink {
    send: PollSender<Bytes>,
    receive: mpsc::Receiver<Bytes>,
    cut: std::pin::Pin<Box<WaitForCancellationFutureOwned>>,
    end: Option<LinkEnd>,
}

impl MemoryLink {
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Result<(), LinkEnd> {
        if self.end.is_none() && self.cut.as_mut().poll(cx).is_ready() {
            self.end = Some(LinkEnd::lost("cut"));
        }
        self.end.clone().map_or(Ok(()), Err)
    }

    fn closed(&mut self) -> LinkEnd {
        self.end.get_or_insert(LinkEnd::Closed { code: None, reason: String::new() }).clone()
    }
}

impl Link for MemoryLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_cut(cx)?;
        Poll::Ready(ready!(self.send.poll_reserve(cx)).map_err(|_| self.closed()))
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        let frame = message.encode()?.into();
        self.send.send_item(frame).map_err(|_| self.closed().into())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(self.poll_cut(cx))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.poll_cut(cx)?;
        match ready!(self.receive.poll_recv(cx)) {
            Some(frame) => Poll::Ready(Ok(Message::decode(frame))),
            None => Poll::Ready(Err(self.closed())),
        }
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.send.close();
        self.receive.close();
        Poll::Ready(())
    }
}
