//! A session of one engine and one replica as a [`Link`], for both ends.

mod closing;
#[cfg(all(test, has_nats, feature = "client", feature = "plugin"))]
mod conformance;
#[cfg(all(test, not(has_nats)))]
mod conformance {
    #[test]
    #[ignore = "needs a NATS server: install nats-server, or set NATS_SERVER"]
    fn suite() {
        panic!("built without a NATS server");
    }
}
mod flow;
mod frame;
mod inbox;
mod liveness;
mod outbox;
mod receiving;
mod room;
mod sending;
mod wakers;

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_nats::{Client, Subject, Subscriber};
use connector_core::{Action, DecodeError, Link, LinkEnd, Message, SendError, StallDetector, Traffic};
use tokio::sync::broadcast;

use self::closing::Closing;
pub(crate) use self::flow::FRAME_COST;
use self::flow::{Incoming, Outgoing};
use self::frame::{HEADER, Kind};
pub(crate) use self::inbox::Inbox;
use self::liveness::{Due, Liveness};
use self::outbox::Outbox;
pub(crate) use self::room::Room;
#[cfg(feature = "plugin")]
pub(crate) use self::sending::gone;
pub(crate) use self::wakers::Wakers;
use crate::config::NatsConfig;
use crate::connection::Connection;
use crate::control::Terms;
use crate::forbidden::Forbidden;

/// Messages of this many bytes may wait for a flush before the link pushes back.
const BUFFER: usize = 64 << 10;
/// What a session may receive before the plugin handshake, with headers. A handshake is much shorter.
const MAX_PENDING_BYTES: u64 = 64 << 10;
/// Longest reason that a frame carries, in characters.
const REASON: usize = 200;

enum State {
    Open,
    /// The link has ended, which is reported once everything that has arrived is read.
    Ending(LinkEnd),
    Closing(Closing),
    Ended(LinkEnd),
}

/// One end of a session.
pub(crate) struct NatsLink {
    connection: Arc<Connection>,
    forbidden: broadcast::Receiver<Forbidden>,
    /// A handle of this link's own, which has room for one frame.
    client: Client,
    frames: Subscriber,
    /// Where the other end listens, and where this one does.
    to: Subject,
    from: Subject,
    wakers: Arc<Wakers>,
    waker: Waker,
    outbox: Outbox,
    outgoing: Outgoing,
    inbox: Inbox,
    incoming: Incoming,
    liveness: Liveness,
    /// A frame without content that must be sent.
    due: Option<Kind>,
    /// Requests that the other end has not answered.
    awaited: usize,
    state: State,
    traffic: Traffic,
    /// The plugin's end: the engine has not performed the plugin handshake yet.
    pending: Cell<bool>,
    close_timeout: Duration,
    silence: Duration,
    /// While more waits for the other end than it may be sent.
    stall: Option<StallDetector>,
    max_message: usize,
    /// Dropped with the link.
    _place: Option<Place>,
}

/// Occupies one of a replica's places while the link exists.
pub(crate) type Place = Box<dyn Send>;

/// What a link is made of.
pub(crate) struct Opened {
    pub(crate) connection: Arc<Connection>,
    /// Since before the session was opened.
    pub(crate) forbidden: broadcast::Receiver<Forbidden>,
    pub(crate) frames: Subscriber,
    pub(crate) to: String,
    pub(crate) from: String,
    /// The other end's terms.
    pub(crate) terms: Terms,
    pub(crate) inbox: Inbox,
    /// The plugin's end has one.
    pub(crate) place: Option<Place>,
}

impl NatsLink {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(opened: Opened, config: &NatsConfig) -> NatsLink {
        let Opened { connection, forbidden, frames, to, from, terms, inbox, place } = opened;
        let wakers = Arc::<Wakers>::default();
        connection.watch(&wakers);
        // A quarter of the window is reported at once, so that frames of that size keep it in motion.
        let max_payload = connection.client().max_payload().min(terms.max_payload).saturating_sub(HEADER);
        let max_frame = max_payload.min((terms.window / 4).saturating_sub(FRAME_COST)).max(outbox::LENGTH);
        NatsLink {
            client: connection.client().clone(),
            frames,
            to: to.into(),
            from: from.into(),
            waker: Arc::clone(&wakers).into(),
            wakers,
            outbox: Outbox::new(max_frame, config.max_message.min(terms.max_message)),
            outgoing: Outgoing::new(terms.window),
            inbox,
            incoming: Incoming::new(config.window),
            liveness: Liveness::new(config.probe_interval, config.silence),
            due: None,
            awaited: 0,
            state: State::Open,
            traffic: Traffic::default(),
            pending: Cell::new(place.is_some()),
            close_timeout: config.close_timeout,
            silence: config.silence,
            stall: None,
            max_message: config.max_message,
            connection,
            forbidden,
            _place: place,
        }
    }

    /// This end ends the link, and tells the other.
    fn fail(&mut self, end: LinkEnd) -> LinkEnd {
        self.leave(&end);
        self.ended(end)
    }

    fn ended(&mut self, end: LinkEnd) -> LinkEnd {
        self.outbox.clear();
        self.inbox.discard(|_| {});
        self.state = State::Ended(end.clone());
        self.wakers.writer.wake();
        end
    }

    /// For the sending methods of a link that is not open.
    fn poll_not_open(&mut self, cx: &Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.wakers.writer.register(cx.waker());
        match &self.state {
            State::Ended(end) => Poll::Ready(Err(end.clone())),
            State::Closing(_) => Poll::Ready(Err(LinkEnd::Disconnected)),
            // The reading side reports it.
            State::Open | State::Ending(_) => Poll::Pending,
        }
    }

    fn awaits(&self) -> bool {
        self.awaited > 0 || self.outgoing.is_unread()
    }
}

/// Whether a request is counted until its response. A handshake is not: nobody responds to a plugin's, which the engine's
/// follows.
fn counts(message: &Message) -> bool {
    message.key.as_deref() != Some("handshake")
}

impl Link for NatsLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_not_open(cx);
        }
        if self.outbox.bytes() < BUFFER {
            return Poll::Ready(Ok(()));
        }
        self.wakers.writer.register(cx.waker());
        let _ = self.poll_send();
        match self.state {
            State::Open if self.outbox.bytes() < BUFFER => Poll::Ready(Ok(())),
            _ => self.poll_not_open(cx),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        match &self.state {
            State::Open => {}
            // Lost, as it would be a moment later.
            State::Ending(_) => return Ok(()),
            State::Closing(_) => return Err(LinkEnd::Disconnected.into()),
            State::Ended(end) => return Err(end.clone().into()),
        }
        self.outbox.push(&message)?;
        match message.action {
            Action::Request if counts(&message) => self.awaited += 1,
            Action::Cancel => self.awaited = self.awaited.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_not_open(cx);
        }
        self.wakers.writer.register(cx.waker());
        let sent = self.poll_send();
        match self.state {
            State::Open => sent.map(Ok),
            _ => self.poll_not_open(cx),
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        match &self.state {
            State::Ended(end) => return Poll::Ready(Err(end.clone())),
            State::Closing(_) => return Poll::Ready(Err(LinkEnd::Disconnected)),
            State::Open | State::Ending(_) => {}
        }
        self.wakers.reader.register(cx.waker());
        loop {
            let incoming = &mut self.incoming;
            match self.inbox.next(&mut Context::from_waker(&self.waker), |length| incoming.consume(length)) {
                Ok(Some(text)) => {
                    self.report_if_due();
                    self.poll_due_frame();
                    let message = Message::decode(text);
                    if matches!(&message, Ok(message) if message.action == Action::Response && counts(message)) {
                        self.awaited = self.awaited.saturating_sub(1);
                    }
                    return Poll::Ready(Ok(message));
                }
                Ok(None) => {}
                Err(end) => return Poll::Ready(Err(self.fail(end))),
            }
            if let State::Ending(end) = &self.state {
                let end = end.clone();
                if let LinkEnd::Closed { .. } = end {
                    self.due = Some(Kind::Closed);
                    self.poll_due_frame();
                }
                return Poll::Ready(Err(self.ended(end)));
            }
            if self.pump() {
                continue;
            }
            if self.poll_stalled().is_ready() {
                return Poll::Ready(Err(self.fail(LinkEnd::TooSlow(self.silence))));
            }
            let awaits = self.awaits();
            match ready!(self.liveness.poll_due(&mut Context::from_waker(&self.waker), awaits)) {
                Due::Probe => self.due = Some(Kind::Probe),
                Due::Report if self.incoming.is_unreported() => self.due = Some(Kind::Status),
                Due::Report => {}
                Due::Silent(time) => return Poll::Ready(Err(self.fail(LinkEnd::Silent(time)))),
            }
        }
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.state {
            State::Ended(_) => return Poll::Ready(()),
            State::Ending(LinkEnd::Closed { .. }) => {
                self.due = Some(Kind::Closed);
                self.poll_due_frame();
                self.ended(LinkEnd::Disconnected);
                return Poll::Ready(());
            }
            State::Ending(_) => {
                self.ended(LinkEnd::Disconnected);
                return Poll::Ready(());
            }
            State::Open => self.start_closing(),
            State::Closing(_) => {}
        }
        self.wakers.writer.register(cx.waker());
        self.poll_closing()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn notices_silence(&self) -> bool {
        true
    }

    fn max_message(&self) -> Option<usize> {
        Some(self.max_message)
    }

    fn handshake_completed(&self) {
        self.pending.set(false);
    }
}

/// Tells the other end, which otherwise notices when it probes.
impl Drop for NatsLink {
    fn drop(&mut self) {
        if !matches!(self.state, State::Ended(_)) {
            self.leave(&"it dropped the link");
        }
    }
}
