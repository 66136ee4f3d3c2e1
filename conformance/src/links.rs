//! Helpers for tests of one transport that drive its links directly: its frames, limits and ends, which the suite cannot
//! know. Each operation is bounded by [`soon`], and panics where a test must fail.
//!
//! ```
//! use conformance::links::{disconnect, emit, end, next_id, send};
//! use conformance::memory_pair;
//! use connector_core::{LinkEnd, Payload};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (mut one, mut other) = memory_pair();
//! send(&mut one, emit(7, Payload::new("hello"))).await.unwrap();
//! assert_eq!(next_id(&mut other).await, 7);
//! disconnect(&mut one).await;
//! assert!(matches!(end(&mut other).await, LinkEnd::Closed { .. }));
//! # }
//! ```

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use connector_core::{
    Action, ClientConfig, ClientConnector, ConnectError, DecodeError, ExternalProfile, Link, LinkEnd, LinkState,
    Message, Payload, Plugin, PluginConnector, Registration, Rest, SendError, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::probe::{engine_with, probe};
use crate::runtime::lock;
use crate::traces::traces;

/// One end of a link.
pub type TestLink = Box<dyn Link>;

/// The output of a future that takes less than 30 s.
///
/// # Panics
/// It takes longer, which means that it hangs.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("timed out")
}

/// Dials a server, and returns the ends of the link: the plugin's and the engine's. The engine counts as admitted, as after
/// the plugin handshake, which tests of links do without.
///
/// # Panics
/// Either end cannot be made.
pub async fn link_to(
    server: &mut impl ClientConnector,
    connector: &mut impl PluginConnector,
    url: &str,
) -> (TestLink, TestLink) {
    let (plugin, engine) = soon(async { tokio::join!(server.accept(), connector.connect(url)) }).await;
    let (plugin, engine) = (plugin.unwrap(), engine.unwrap());
    plugin.handshake_completed();
    (plugin, engine)
}

/// Asserts that a plugin cannot be dialled until something is put right, and that the error contains `part`.
///
/// # Panics
/// It is another error.
pub fn assert_refused(error: &ConnectError, part: &str) {
    assert!(matches!(error, ConnectError::Refused(text) if text.contains(part)), "{error:?}");
}

/// A notification with this id and payload.
pub fn emit(id: i64, payload: Payload) -> Message {
    let mut message = Message::new(Action::Emit);
    message.id = Some(id.into());
    message.payload = Some(payload);
    message
}

/// Waits until the link is ready, sends, and flushes.
///
/// # Errors
/// The link has ended.
///
/// # Panics
/// The message cannot be sent.
pub async fn send(link: &mut TestLink, message: Message) -> Result<(), LinkEnd> {
    soon(poll_fn(|cx| link.poll_ready(cx))).await?;
    link.send(message).unwrap();
    soon(poll_fn(|cx| link.poll_flush(cx))).await
}

/// The next message, or the error of a frame that is not a message.
///
/// # Errors
/// The link has ended.
pub async fn next(link: &mut TestLink) -> Result<Result<Message, DecodeError>, LinkEnd> {
    soon(poll_fn(|cx| link.poll_message(cx))).await
}

/// The id of the next message.
///
/// # Panics
/// The link has ended, or the next message has no numeric id.
pub async fn next_id(link: &mut TestLink) -> i64 {
    next(link).await.unwrap().unwrap().id.unwrap().number().unwrap()
}

/// Discards messages, and returns how the link ends.
pub async fn end(link: &mut TestLink) -> LinkEnd {
    loop {
        if let Err(end) = next(link).await {
            return end;
        }
    }
}

/// Closes the link.
pub async fn disconnect(link: &mut TestLink) {
    soon(poll_fn(|cx| link.poll_disconnect(cx))).await;
}

/// Whether a single `poll_ready` is pending.
pub async fn is_blocked(link: &mut TestLink) -> bool {
    poll_fn(|cx| Poll::Ready(link.poll_ready(cx).is_pending())).await
}

/// Asserts that all methods report this end, and still do after a disconnect.
///
/// # Panics
/// One of them reports something else.
pub async fn assert_ended(link: &mut TestLink, expected: &LinkEnd) {
    let expected = format!("{expected:?}");
    let check = |end: LinkEnd| assert_eq!(format!("{end:?}"), expected);
    check(soon(poll_fn(|cx| link.poll_ready(cx))).await.unwrap_err());
    check(soon(poll_fn(|cx| link.poll_flush(cx))).await.unwrap_err());
    check(next(link).await.unwrap_err());
    let Err(SendError::Ended(end)) = link.send(Message::new(Action::Emit)) else {
        panic!("`send` does not report the end")
    };
    check(end);
    disconnect(link).await;
    check(next(link).await.unwrap_err());
}

/// Drives a link as its owner does, in one task that reads everything and sends when the link is ready: sends `count`
/// notifications, every `large_every`th of 300 kB and the others small, while it receives as many.
///
/// # Panics
/// They do not arrive in order, or the link ends.
pub async fn exchange(mut link: TestLink, count: i64, large_every: i64) -> TestLink {
    let (mut sent, mut received) = (0, 0);
    soon(poll_fn(|cx| {
        while let Poll::Ready(message) = link.poll_message(cx) {
            assert_eq!(message.unwrap().unwrap().id, Some(received.into()));
            received += 1;
        }
        while sent < count && link.poll_ready(cx).is_ready() {
            let size = if sent % large_every == 0 { 300_000 } else { 100 };
            link.send(emit(sent, Payload::new("x".repeat(size)))).unwrap();
            sent += 1;
        }
        let flushed = link.poll_flush(cx).is_ready();
        if flushed && sent == count && received == count { Poll::Ready(()) } else { Poll::Pending }
    }))
    .await;
    link
}

/// Sends texts of up to 3 MiB, one at a time in each direction.
///
/// # Panics
/// One does not arrive unchanged, or the link ends.
pub async fn exchange_texts(plugin: &mut TestLink, engine: &mut TestLink) {
    for text in ["", "x", &"x".repeat(3 << 20)] {
        for back in [false, true] {
            let (from, to) = if back { (&mut *plugin, &mut *engine) } else { (&mut *engine, &mut *plugin) };
            let (sent, received) = tokio::join!(send(from, emit(1, Payload::new(text.to_owned()))), next(to));
            sent.unwrap();
            assert_eq!(received.unwrap().unwrap().payload.unwrap().read::<String>().unwrap(), text);
        }
    }
}

/// The head of an HTTP message, or the part of it that arrives before the connection ends.
///
/// # Panics
/// It is not UTF-8.
pub async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(socket.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A program that does not serve a plugin: it replies to the first bytes of each connection with `reply`, and closes it.
/// Returns its address.
///
/// # Panics
/// No port is free.
pub async fn other_program(reply: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(reply.as_bytes()).await;
        }
    });
    address
}

/// An address of this machine that is not a loopback address, so that it counts as another machine's. `None` if it has
/// none.
pub fn own_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|local| local.ip()).filter(|ip| !ip.is_loopback())
}

/// Connections that never become links: one that sends each of these beginnings and stays open, and one that is reset.
/// Keep the returned connections for as long as they must stay open.
///
/// # Panics
/// The server does not listen.
pub async fn connect_without_links(server: impl ToSocketAddrs, beginnings: &[impl AsRef<[u8]>]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for beginning in beginnings {
        let mut socket = TcpStream::connect(&server).await.unwrap();
        socket.write_all(beginning.as_ref()).await.unwrap();
        open.push(socket);
    }
    let reset = TcpStream::connect(&server).await.unwrap();
    reset.set_zero_linger().unwrap();
    open
}

/// The texts of a plugin that cannot be activated: of its registration, and of the errors of its activation and of a call.
///
/// # Panics
/// It can be activated.
pub async fn texts_of_failed(plugin: Registration, name: &str) -> String {
    let registration = format!("{plugin:?}");
    let (engine, local) = engine_with(Plugin::new("local")).await;
    engine.register(plugin).unwrap();
    let activation = soon(engine.manager().activate(name)).await.unwrap_err();
    let call = soon(local.call::<u8>(name, "x", ())).await.unwrap_err();
    format!("{registration} {activation} {activation:?} {call} {call:?}")
}

/// The texts of a plugin whose server is dropped while the plugin is active: of its connector, of its link's state after
/// the loss and a failed reconnect, of the error of a call, and the arguments of the event `linkDown`.
///
/// # Panics
/// It cannot be activated, or its loss is not reported.
pub async fn texts_of_lost(server: impl ClientConnector, connector: impl PluginConnector + Debug, url: &str) -> String {
    let connector_text = format!("{connector:?}");
    let traces = traces(tracing::Level::TRACE);
    let serving = tokio::spawn(serve(server, probe, ClientConfig::default()));
    let (engine, local) = engine_with(Plugin::new("local")).await;
    engine.register(Registration::behind(ExternalProfile::new("probe", url), connector)).unwrap();
    soon(engine.manager().activate("probe")).await.unwrap();
    let events = Arc::new(Mutex::new(String::new()));
    let listener = events.clone();
    let record = move |args: Rest| lock(&listener).push_str(&format!("{args:?}"));
    local.on("manager", "linkDown", record).unwrap();
    serving.abort();
    let mut state = engine.link_state("probe").unwrap();
    let has_failed = |state: &LinkState| matches!(state, LinkState::Down { tries: 1.., .. });
    let state = soon(state.wait_for(has_failed)).await.unwrap().clone();
    let call = soon(local.call::<u8>("probe", "x", ())).await.unwrap_err();
    let events = lock(&events).clone();
    assert!(!events.is_empty(), "the loss is not reported as an event");
    format!("{connector_text} {state} {state:?} {call} {call:?} {events} {}", traces.lines().concat())
}
