//! A link over anything that posts messages.

use std::future::Future;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::runtime::{self, Timer};
use connector_core::{DecodeError, Inbox, Link, LinkEnd, Message, SendError, Traffic};
use wasm_bindgen::JsValue;
use web_sys::MessagePort;

use crate::codec::{self, Frame, Received};
use crate::config::LinkConfig;
use crate::events::Listener;

/// Bytes that a channel may hold back before its sender waits.
const MAX_BUFFERED: u32 = 1 << 20;
/// The interval for checking a full channel, which reports no free capacity.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// Where a link's messages go.
pub(crate) trait Channel: Send + 'static {
    /// Sends a frame.
    fn send(&self, frame: &Frame) -> Result<(), JsValue>;

    /// Bytes that have not been passed on yet.
    fn buffered(&self) -> u32 {
        0
    }

    /// Called once, when this end leaves: tells the other end, and releases what the link occupies.
    fn close(&mut self, reason: &str);
}

/// The receiving half of a link, for the listeners.
#[derive(Clone)]
pub(crate) struct Receiver {
    inbox: Inbox,
    limit: usize,
}

impl Receiver {
    pub(crate) fn new(config: &LinkConfig) -> Receiver {
        Receiver { inbox: Inbox::default(), limit: config.max_message }
    }

    pub(crate) fn posted(&self, data: &JsValue) {
        self.received(codec::received(data, self.limit));
    }

    #[cfg(feature = "plugin")]
    pub(crate) fn text(&self, text: String) {
        self.received(codec::text_received(text, self.limit));
    }

    pub(crate) fn bad(&self, what: &'static str) {
        self.received(Received::NoFrame(DecodeError::WrongFrame(what)));
    }

    pub(crate) fn end(&self, end: LinkEnd) {
        self.inbox.close(end);
    }

    fn received(&self, received: Received) {
        // A full inbox ends the link, which then closes its channel.
        let _ = match received {
            Received::Frame(frame) => self.inbox.push(Ok(frame)),
            Received::NoFrame(error) => self.inbox.push(Err(error)),
            Received::End(end) => {
                self.inbox.close(end);
                Ok(())
            }
        };
    }
}

pub(crate) struct WebLink {
    channel: Box<dyn Channel>,
    receiver: Receiver,
    check_timer: Option<Timer>,
    traffic: Traffic,
    closed: bool,
    _listeners: Vec<Listener>,
}

impl WebLink {
    pub(crate) fn new(channel: impl Channel, receiver: Receiver, listeners: Vec<Listener>) -> WebLink {
        WebLink {
            channel: Box::new(channel),
            receiver,
            check_timer: None,
            traffic: Traffic::default(),
            closed: false,
            _listeners: listeners,
        }
    }

    fn close(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.closed, true) {
            self.receiver.inbox.abandon();
            self.channel.close(reason);
        }
    }
}

impl Link for WebLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        loop {
            ready!(self.receiver.inbox.poll_open(cx))?;
            if self.channel.buffered() <= MAX_BUFFERED {
                self.check_timer = None;
                return Poll::Ready(Ok(()));
            }
            let timer = self.check_timer.get_or_insert_with(|| runtime::sleep(CHECK_INTERVAL));
            ready!(timer.as_mut().poll(cx));
            self.check_timer = None;
        }
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if let Some(end) = self.receiver.inbox.end() {
            return Err(end.into());
        }
        let frame = Frame::of(&message, self.receiver.limit)?;
        self.traffic.sent += frame.json().len() as u64;
        self.channel.send(&frame).map_err(|error| {
            let end = LinkEnd::lost(codec::error_text(&error));
            self.receiver.end(end.clone());
            end.into()
        })
    }

    /// A posted message is on its way.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.receiver.inbox.poll_open(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let frame = ready!(self.receiver.inbox.poll(cx))?;
        Poll::Ready(Ok(frame.and_then(|frame| {
            self.traffic.received += frame.len() as u64;
            Message::decode(frame)
        })))
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.close("");
        Poll::Ready(())
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn max_message(&self) -> Option<usize> {
        Some(self.receiver.limit)
    }
}

impl Drop for WebLink {
    fn drop(&mut self) {
        self.close("");
    }
}

/// A message port as a link, where `channel` sends and closes.
pub(crate) fn port_link(port: &MessagePort, channel: impl Channel, config: &LinkConfig) -> WebLink {
    let receiver = Receiver::new(config);
    let (messages, errors, ends) = (receiver.clone(), receiver.clone(), receiver.clone());
    let listeners = vec![
        Listener::new(port, "message", move |event: web_sys::MessageEvent| messages.posted(&event.data())),
        Listener::new(port, "messageerror", move |_: web_sys::Event| errors.bad(UNREADABLE)),
        // Not all browsers have this event: without it, the goodbye is the end.
        Listener::new(port, "close", move |_: web_sys::Event| ends.end(LinkEnd::lost("the port's other end is gone"))),
    ];
    port.start();
    WebLink::new(channel, receiver, listeners)
}

/// A `messageerror`: the value cannot exist on this side.
pub(crate) const UNREADABLE: &str = "values that cannot be cloned";

impl Channel for MessagePort {
    fn send(&self, frame: &Frame) -> Result<(), JsValue> {
        self.post_message(&frame.object()?)
    }

    fn close(&mut self, reason: &str) {
        // Fails for nothing that an object of two texts can cause.
        let _ = Channel::send(self, &Frame::goodbye(reason));
        MessagePort::close(self);
    }
}
