//! Test harness of the cases: links whose two ends a case drives itself, and waits with a time limit.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::Either;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::capabilities::Capabilities;
pub(super) use super::checked_link::CheckedLink;
use super::checked_link::has_text;
use super::contract::{ACCEPT, CONNECT};
use super::failure::{Failure, Hint, shown};
use super::fixture::{Control, Endpoints, Fixture, MakeConnector};
use crate::runtime;
use connector_core::{
    Action, CallOutcome, ClientConnector, Engine, Link, LinkEnd, Message, Name, Observation, Observing, Payload,
    PluginConnector,
};

pub(super) const WAKERS: &str =
    "a message that is lost or held back, an end that is not reported, or a waker that is not kept";

pub(super) const IDS: &str =
    "ids: a response carries the id of its request, whatever the id is and whatever else is in flight";

/// The endpoints of one case.
pub(super) struct Harness {
    pub(super) has: Capabilities,
    pub(super) url: String,
    pub(super) client: Box<dyn ClientConnector>,
    pub(super) connector: Box<dyn PluginConnector>,
    pub(super) another: MakeConnector,
    pub(super) control: Box<dyn Control>,
    /// Without plugins.
    pub(super) engine: Engine,
    pub(super) observing: Option<Observing>,
}

impl Harness {
    pub(super) async fn open(fixture: &dyn Fixture) -> Result<Harness, Failure> {
        let has = fixture.capabilities();
        let endpoints = within(has.timeout, "endpoints from the fixture", fixture.endpoints()).await?;
        let Endpoints { url, client, connector: another, control, observed } = endpoints
            .map_err(|error| Failure::new("endpoints from the fixture", error).fallback_hint("Fixture::endpoints"))?;
        let engine = Engine::new();
        let observing = observed.then(|| engine.observe(read_everything));
        Ok(Harness { has, url, client, connector: another(), another, control, engine, observing })
    }

    /// The connector of another engine.
    pub(super) fn another_engine(&self) -> Box<dyn PluginConnector> {
        (self.another)()
    }

    /// Makes a link: the engine's end and the plugin's.
    pub(super) async fn link(&mut self) -> Result<(CheckedLink, CheckedLink), Failure> {
        let Harness { has, url, client, connector, .. } = self;
        let limit = has.timeout;
        both(async { establish("the engine's", limit, connector.connect(url)).await }, async {
            establish("the plugin's", limit, client.accept()).await
        })
        .await
    }
}

/// An observer that reads what a recorder does.
fn read_everything(observation: &Observation<'_>) {
    match observation {
        Observation::Message { message, .. } => drop(message.encode()),
        Observation::CallQueued { args, .. } | Observation::Event { args, .. } => drop(args.to_json()),
        Observation::CallEnded { outcome: CallOutcome::Returned(result), .. } => drop(result.to_json()),
        Observation::CallEnded { outcome: CallOutcome::Failed(error), .. } => drop(error.to_payload().to_json()),
        other => drop(format!("{other:?}")),
    }
}

/// The plugin's end of the link whose first message has this number, and the ends of other links that stay silent, as
/// idle connections and those of abandoned dials do.
pub(super) async fn accept_numbered(
    has: &Capabilities,
    client: &mut dyn ClientConnector,
    number: i64,
) -> Result<(CheckedLink, Vec<CheckedLink>), Failure> {
    let search = async {
        let mut waiting: Vec<CheckedLink> = vec![];
        loop {
            let event = {
                let mut accepting = client.accept();
                poll_fn(|cx| {
                    if let Poll::Ready(accepted) = accepting.as_mut().poll(cx) {
                        return Poll::Ready(Either::Left(accepted));
                    }
                    for (at, end) in waiting.iter_mut().enumerate() {
                        if let Poll::Ready(outcome) = end.poll_message(cx) {
                            return Poll::Ready(Either::Right((at, outcome)));
                        }
                    }
                    Poll::Pending
                })
                .await
            };
            match event {
                Either::Left(Ok(link)) => waiting.push(CheckedLink::new("the plugin's", link, has.timeout)),
                Either::Left(Err(end)) => return Err(Failure::new("another link", end)),
                Either::Right((at, Ok(Ok(message)))) if message.id == Some(number.into()) => {
                    return Ok((waiting.swap_remove(at), waiting));
                }
                Either::Right((_, Ok(Ok(message)))) => return Err(Failure::new("the first message", shown(&message))),
                Either::Right((at, _)) => drop(waiting.swap_remove(at)),
            }
        }
    };
    let what = format!("the plugin's end of the link that carries message {number}");
    let found = within(has.timeout, what, search).await.and_then(|found| found);
    found.fallback_hint("accept: it continues with the next connection, whatever this one does").rule(ACCEPT)
}

pub(super) async fn establish<E: Into<LinkEnd>>(
    side: &'static str,
    limit: Duration,
    making: impl Future<Output = Result<Box<dyn Link>, E>>,
) -> Result<CheckedLink, Failure> {
    let (method, rule) = match side.contains("engine") {
        true => ("connect: it returns a link once the other end is connected, without waiting for a message", CONNECT),
        false => ("accept: it returns a link once an engine has dialled, without waiting for a message", ACCEPT),
    };
    let made = within(limit, format!("{side} end of a link"), making).await.fallback_hint(method).rule(rule)?;
    match made {
        Ok(link) => {
            // The cases do without the plugin handshake.
            link.handshake_completed();
            Ok(CheckedLink::new(side, link, limit))
        }
        Err(error) => {
            let end = error.into();
            has_text(&end)?;
            Err(Failure::new(format_args!("{side} end of a link"), end).fallback_hint(method).rule(rule))
        }
    }
}

/// A link (the engine's end, the plugin's end) and its harness, which the caller must keep.
pub(super) async fn pair(fixture: &dyn Fixture) -> Result<(CheckedLink, CheckedLink, Harness), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let (engine, plugin) = harness.link().await?;
    Ok((engine, plugin, harness))
}

/// As [`pair`], with the sending end first: the engine's or the plugin's.
pub(super) async fn pair_from(
    fixture: &dyn Fixture,
    from_engine: bool,
) -> Result<(CheckedLink, CheckedLink, Harness), Failure> {
    let (engine, plugin, harness) = pair(fixture).await?;
    Ok(if from_engine { (engine, plugin, harness) } else { (plugin, engine, harness) })
}

/// An event identified by a number.
pub(super) fn numbered(number: i64) -> Message {
    Message { id: Some(number.into()), key: Some(Name::new_static("e")), ..Message::new(Action::Emit) }
}

/// The number that identifies an event.
pub(super) fn number_of(message: &Message) -> Option<i64> {
    message.id.as_ref()?.number()
}

/// An event with a payload of `bytes` bytes, derived from its number.
pub(super) fn filled(number: i64, bytes: usize) -> Message {
    let letter = char::from(b'a' + (number.unsigned_abs() % 26) as u8);
    let payload = Payload::new(vec![letter.to_string().repeat(bytes)]);
    Message { payload: Some(payload), ..numbered(number) }
}

/// Fills a link whose other end does not read, up to 8 MiB. Returns how many messages it accepted.
pub(super) async fn fill(end: &mut CheckedLink, max_bytes: usize) -> Result<i64, Failure> {
    let max = max_bytes.min(8 << 20) as i64 / 60_000;
    for number in 0..max {
        if !end.is_ready().await {
            return Ok(number);
        }
        end.send_now(filled(number, 60_000))?;
        end.start_flush().await;
    }
    Ok(max)
}

/// A message as text: messages are equal if their texts are.
pub(super) fn text(message: &Message) -> String {
    message.encode().map_or_else(|error| error.to_string(), |text| String::from_utf8_lossy(&text).into_owned())
}

/// Runs `work` within the limit, or fails. Checks the limit first: work that becomes ready only because the limit's timer
/// woke the task was not woken by its own waker.
pub(super) fn within<T, F: Future<Output = T>, W: Display>(
    limit: Duration,
    what: W,
    work: F,
) -> impl Future<Output = Result<T, Failure>> {
    /// A task that is woken this often within one wait does not sleep.
    const MAX_POLLS: usize = 20_000_000;
    let what = what.to_string();
    async move {
        let mut work = pin!(work);
        let mut timer = runtime::sleep(limit);
        let mut polls = 0;
        let done = poll_fn(|cx| {
            polls += 1;
            if polls > MAX_POLLS {
                return Poll::Ready(Err("a task that is woken again and again"));
            }
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err("nothing"));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await;
        done.map_err(|received| Failure::new(format_args!("{what} within {limit:?}"), received))
    }
}

type Part<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Runs both concurrently until the first failure. Each has its own waker, so that a lost wake-up of one is not hidden
/// by a wake-up of the other.
pub(super) async fn both<A: Send, B: Send>(
    a: impl Future<Output = Result<A, Failure>> + Send,
    b: impl Future<Output = Result<B, Failure>> + Send,
) -> Result<(A, B), Failure> {
    let (mut first, mut second) = (None, None);
    {
        let (first, second) = (&mut first, &mut second);
        let a: Part<'_, ()> = Box::pin(async move { a.await.map(|done| *first = Some(done)) });
        let b: Part<'_, ()> = Box::pin(async move { b.await.map(|done| *second = Some(done)) });
        let mut parts = FuturesUnordered::from_iter([a, b]);
        while let Some(part) = parts.next().await {
            part?;
        }
    }
    first.zip(second).ok_or_else(|| Failure::new("both to end", "one of them"))
}

/// Lets other tasks run.
pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A pause in which pending work can complete.
pub(super) async fn pause() {
    runtime::sleep(Duration::from_millis(50)).await;
}
