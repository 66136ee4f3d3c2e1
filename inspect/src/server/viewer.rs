//! A viewer's websocket: what it is sent, at its pace.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Sink, SinkExt, StreamExt};
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::outbox::Outbox;
use super::table::Cursor;
use super::{Server, session};
use crate::recent::Filter;
use crate::record::Record;

/// The time in which a viewer must take a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// The interval of records.
const FEED_INTERVAL: Duration = Duration::from_millis(100);
/// Records in a message, and their bytes of JSON.
const MAX_RECORDS: usize = 500;
/// Messages of the outbox before the state and records have a turn.
const MAX_BURST: usize = 64;

/// What a viewer's session passes to the sender of its messages.
#[derive(Default)]
pub(super) struct Viewer {
    pub(super) outbox: Outbox,
    pub(super) feed: Mutex<Option<Feed>>,
}

/// A subscription to records.
pub(super) struct Feed {
    pub(super) filter: Filter,
    /// The number of the last record that was looked at.
    pub(super) seen: u64,
}

/// Serves a viewer until it leaves, or does not read.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<S>, server: Arc<Server>) {
    let viewer = Arc::new(Viewer::default());
    let (sink, stream) = socket.split();
    // Both in one task: the session is not held up by a viewer that does not read.
    tokio::select! {
        why = send(sink, &server, &viewer) => tracing::debug!(why, "a viewer of the inspector is disconnected"),
        why = session::run(stream, &server, &viewer) => tracing::debug!(why, "a viewer of the inspector is gone"),
    }
}

async fn send(mut sink: impl Sink<Message, Error = Error> + Unpin, server: &Server, viewer: &Viewer) -> &'static str {
    let hello = json!({ "type": "hello", "protocol": 1, "began": server.began, "calls": server.allow_calls,
        "caller": server.client.name().as_str() });
    let mut next = Some(Message::text(hello.to_string()));
    let mut versions = server.table.versions();
    // The last sample may be old.
    server.table.refresh.notify_one();
    let mut is_current = false;
    let mut cursor = Cursor::default();
    let mut burst = 0;
    let (mut feed_due, mut ping_due) = (Instant::now(), Instant::now() + PING_INTERVAL);
    loop {
        if let Some(message) = next.take() {
            match tokio::time::timeout(SEND_TIMEOUT, sink.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return "its connection has ended",
                Err(_) => return "it does not read",
            }
        }
        if burst < MAX_BURST
            && let Some(message) = viewer.outbox.pop()
        {
            burst += 1;
            next = Some(Message::text(message));
            continue;
        }
        burst = 0;
        is_current |= versions.has_changed().unwrap_or(false);
        versions.mark_unchanged();
        if is_current && let Some(message) = server.table.next(&mut cursor) {
            next = Some(Message::text(message));
            continue;
        }
        let now = Instant::now();
        if now >= feed_due
            && let Some(message) = viewer.records(server)
        {
            feed_due = now + FEED_INTERVAL;
            next = Some(Message::text(message));
            continue;
        }
        if now >= ping_due {
            ping_due = now + PING_INTERVAL;
            next = Some(Message::Ping(Default::default()));
            continue;
        }
        // A message in the outbox may have met the end of a burst.
        if let Some(message) = viewer.outbox.pop() {
            next = Some(Message::text(message));
            continue;
        }
        let has_feed = viewer.feed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let feed_tick = if has_feed { feed_due.max(now + FEED_INTERVAL) } else { ping_due };
        tokio::select! {
            () = viewer.outbox.filled.notified() => {}
            _ = versions.changed() => is_current = true,
            () = tokio::time::sleep_until(feed_tick.min(ping_due)) => {}
        }
    }
}

impl Viewer {
    /// The next message of the feed, if there is one.
    fn records(&self, server: &Server) -> Option<String> {
        #[derive(Serialize)]
        struct Records<'a> {
            r#type: &'static str,
            records: Vec<&'a Record>,
            missed: u64,
        }
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = feed.as_mut()?;
        let page = server.recent.after(feed.seen, MAX_RECORDS, &feed.filter);
        feed.seen = page.last;
        if page.records.is_empty() && page.missed == 0 {
            return None;
        }
        let records = page.records.iter().map(|record| &**record).collect();
        serde_json::to_string(&Records { r#type: "records", records, missed: page.missed }).ok()
    }
}
