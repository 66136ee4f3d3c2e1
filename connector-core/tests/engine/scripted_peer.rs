//! Links whose other end the test scripts: a published, a native or a hostile peer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Cx, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use connector_core::{
    ActivateError, ClientConfig, ConnectError, DecodeError, ExternalProfile, Link, LinkEnd, Message, Plugin,
    PluginClient, PluginConnector, PluginOptions, Registration, SendError, Traffic, async_trait, connect,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tokio_util::sync::PollSender;

use crate::support::{Host, settle, soon};

/// The scripted end of a link, which sends and receives text frames.
pub(crate) struct Peer {
    to: Option<mpsc::UnboundedSender<Bytes>>,
    from: mpsc::Receiver<Bytes>,
}

/// A link and its scripted peer. The link accepts up to 64 frames that the peer has not read.
pub(crate) fn scripted_link() -> (Peer, Box<dyn Link>) {
    scripted_link_over(Transport::default())
}

pub(crate) fn scripted_link_over(transport: Transport) -> (Peer, Box<dyn Link>) {
    let ((to, receive), (send, from)) = (mpsc::unbounded_channel(), mpsc::channel(64));
    let link = HandLink { send: PollSender::new(send), receive, ended: false, closing: None, transport };
    (Peer { to: Some(to), from }, Box::new(link))
}

/// The properties of a scripted link's transport.
#[derive(Clone, Default)]
pub(crate) struct Transport {
    pub(crate) notices_silence: bool,
    /// Received bytes, which a test counts.
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) max_message: Option<usize>,
    /// How long it takes to begin a close.
    pub(crate) close_delay: Option<Duration>,
}

impl Peer {
    pub(crate) fn send(&self, message: Value) {
        self.send_text(message.to_string());
    }

    pub(crate) fn send_text(&self, frame: impl Into<Bytes>) {
        let _ = self.to.as_ref().unwrap().send(frame.into());
    }

    /// The next message, or `None` once the link has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let frame = soon(self.from.recv()).await?;
        Some(serde_json::from_slice(&frame).unwrap_or_else(|_| String::from_utf8_lossy(&frame).into()))
    }

    pub(crate) async fn recv(&mut self) -> Value {
        self.next().await.expect("the link has ended")
    }

    /// The next message as it was written.
    pub(crate) async fn recv_text(&mut self) -> String {
        let frame = soon(self.from.recv()).await.expect("the link has ended");
        String::from_utf8(frame.to_vec()).unwrap()
    }

    /// All messages that arrive without further input.
    pub(crate) async fn all(&mut self) -> Vec<Value> {
        settle().await;
        std::iter::from_fn(|| self.from.try_recv().ok()).map(|frame| serde_json::from_slice(&frame).unwrap()).collect()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        loop {
            match self.from.try_recv() {
                Ok(_) => {}
                Err(error) => return error == mpsc::error::TryRecvError::Disconnected,
            }
        }
    }

    /// Answers the next request with this result.
    pub(crate) async fn answer_next(&mut self, result: Value) {
        let request = self.recv().await;
        self.answer(&request, result);
    }

    /// Closes this end.
    pub(crate) fn close(&mut self) {
        self.to = None;
        self.from.close();
    }

    /// Answers the engine's handshake as a published or a native plugin.
    pub(crate) async fn answer_handshake(&mut self, methods: &[&str], native: bool) {
        let ask = self.recv().await;
        assert_eq!((&ask["action"], &ask["key"]), (&"request".into(), &"handshake".into()));
        let mut answer = serde_json::json!({
            "action": "response", "id": ask["id"], "key": "handshake", "name": ask["name"], "payload": methods,
        });
        if native {
            answer["extensions"] =
                serde_json::json!(["cancelById", "errorKind", "traceContext", "deadline", "draining"]);
        }
        self.send(answer);
        settle().await;
    }

    /// Performs the handshake as an engine with a plugin.
    pub(crate) async fn perform_handshake(&mut self, name: &str, native: bool) {
        assert_eq!(self.recv().await["id"], -1);
        let mut ask =
            serde_json::json!({"action": "request", "id": 0, "key": "handshake", "name": name, "payload": [name]});
        if native {
            ask["extensions"] = serde_json::json!(["cancelById", "errorKind", "traceContext", "deadline", "draining"]);
        }
        self.send(ask);
        let answer = self.recv().await;
        assert_eq!((&answer["action"], &answer["id"]), (&"response".into(), &0.into()));
    }

    pub(crate) fn answer(&self, request: &Value, result: Value) {
        let (id, name, key) = (&request["id"], &request["name"], &request["key"]);
        self.send(serde_json::json!({"action": "response", "id": id, "name": name, "key": key, "payload": result}));
    }
}

struct HandLink {
    send: PollSender<Bytes>,
    receive: mpsc::UnboundedReceiver<Bytes>,
    ended: bool,
    closing: Option<Pin<Box<Sleep>>>,
    transport: Transport,
}

impl HandLink {
    fn closed(&mut self) -> LinkEnd {
        self.ended = true;
        LinkEnd::Closed { code: None, reason: String::new() }
    }
}

impl Link for HandLink {
    fn poll_ready(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(), LinkEnd>> {
        if self.ended {
            return Poll::Ready(Err(self.closed()));
        }
        self.send.poll_reserve(cx).map_err(|_| self.closed())
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        let frame = message.encode()?.into();
        self.send.send_item(frame).map_err(|_| self.closed().into())
    }

    fn poll_flush(&mut self, _: &mut Cx<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(if self.ended { Err(self.closed()) } else { Ok(()) })
    }

    fn poll_message(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.receive.poll_recv(cx).map(|frame| frame.map(Message::decode).ok_or_else(|| self.closed()))
    }

    fn poll_disconnect(&mut self, cx: &mut Cx<'_>) -> Poll<()> {
        if let Some(delay) = self.transport.close_delay {
            ready!(self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(delay))).as_mut().poll(cx));
        }
        self.send.close();
        Poll::Ready(())
    }

    fn traffic(&self) -> Traffic {
        Traffic { received: self.transport.received.load(Ordering::Relaxed), ..Traffic::default() }
    }

    fn max_message(&self) -> Option<usize> {
        self.transport.max_message
    }

    fn notices_silence(&self) -> bool {
        self.transport.notices_silence
    }
}

/// Returns a link for every connection attempt, and passes its other end to the test.
pub(crate) struct ByHand(mpsc::UnboundedSender<Peer>, Transport);

#[async_trait]
impl PluginConnector for ByHand {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        let (peer, link) = scripted_link_over(self.1.clone());
        self.0.send(peer).map_err(|_| ConnectError::Refused("unreachable".to_owned()))?;
        Ok(link)
    }
}

/// The peers of a plugin's links, one per connection attempt.
pub(crate) struct Peers(mpsc::UnboundedReceiver<Peer>);

impl Peers {
    pub(crate) async fn next(&mut self) -> Peer {
        // Longer than the maximum reconnect delay.
        tokio::time::timeout(Duration::from_secs(3), self.0.recv()).await.expect("it is dialled").unwrap()
    }

    pub(crate) fn none(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

impl Host {
    /// Registers a plugin whose end of each link is scripted.
    pub(crate) fn register_scripted(&self, name: &str, options: PluginOptions) -> Peers {
        self.register_scripted_over(Transport::default(), options, name)
    }

    fn register_scripted_over(&self, transport: Transport, options: PluginOptions, name: &str) -> Peers {
        let (dialled, peers) = mpsc::unbounded_channel();
        let profile = ExternalProfile::new(name, "hand://");
        self.engine.register(Registration::behind(profile, ByHand(dialled, transport)).options(options)).unwrap();
        Peers(peers)
    }

    /// A plugin that the host is activating, and whose scripted peer has not answered the handshake yet.
    pub(crate) async fn start_scripted(
        &self,
        name: &'static str,
    ) -> (JoinHandle<Result<(), ActivateError>>, Peer, Peers) {
        let mut peers = self.register_scripted(name, PluginOptions::default());
        let activated = self.start_activation(name);
        let peer = peers.next().await;
        (activated, peer, peers)
    }

    /// An active plugin with a scripted peer.
    pub(crate) async fn add_scripted(&self, name: &'static str, methods: &[&str], native: bool) -> (Peer, Peers) {
        self.add_scripted_with(PluginOptions::default(), name, methods, native).await
    }

    pub(crate) async fn add_scripted_with(
        &self,
        options: PluginOptions,
        name: &'static str,
        methods: &[&str],
        native: bool,
    ) -> (Peer, Peers) {
        self.add_scripted_over(Transport::default(), options, name, methods, native).await
    }

    pub(crate) async fn add_scripted_over(
        &self,
        transport: Transport,
        options: PluginOptions,
        name: &'static str,
        methods: &[&str],
        native: bool,
    ) -> (Peer, Peers) {
        let mut peers = self.register_scripted_over(transport, options, name);
        let activated = self.start_activation(name);
        let mut peer = peers.next().await;
        peer.answer_handshake(methods, native).await;
        activated.await.unwrap().unwrap();
        (peer, peers)
    }

    /// An active plugin `far` with a scripted peer that has subscribed to the event `e` of `local`, with `on` or `once`.
    pub(crate) async fn add_subscriber(&self, action: &str) -> (Peer, Peers) {
        let (peer, peers) = self.add_scripted("far", &[], false).await;
        peer.send(json!({"action": action, "name": "local", "key": "e"}));
        settle().await;
        (peer, peers)
    }

    /// Checks that a call reaches the scripted plugin, and that its result returns.
    pub(crate) async fn assert_calls_reach(&self, peer: &mut Peer, name: &'static str, method: &'static str) {
        let call = self.start::<i64>(name, method, ());
        peer.answer_next(json!(1)).await;
        assert_eq!(soon(call).await.unwrap().unwrap(), 1);
    }
}

/// The plugin's end of a link, with a scripted engine.
pub(crate) async fn plugin_with_scripted_engine(
    plugin: Plugin,
    config: ClientConfig,
    native: bool,
) -> (PluginClient, Peer) {
    let (mut peer, link) = scripted_link();
    let name = plugin.name().to_owned();
    let (client, link) = connect(link, plugin, config);
    tokio::spawn(link);
    peer.perform_handshake(&name, native).await;
    (client, peer)
}
