//! What the cases are written with: links whose two ends are played by hand, and waits that end.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::Either;
use futures_util::stream::{FuturesUnordered, StreamExt};

pub(super) use super::checked_link::End;
use super::checked_link::has_text;
use super::contract::{ACCEPT, CONNECT};
use super::failure::{Failure, Hint, shown};
use super::fixture::{Capabilities, Control, Fixture, MakeConnector, Place};
use crate::runtime;
use connector_core::{Action, ClientConnector, Link, LinkEnd, Message, Name, Payload, PluginConnector};

pub(super) const WAKERS: &str =
    "a message that is lost or kept back, an end that is not told, or a waker that is not kept";

/// A place of one case.
pub(super) struct Lab {
    pub(super) has: Capabilities,
    pub(super) url: String,
    pub(super) client: Box<dyn ClientConnector>,
    pub(super) connector: Box<dyn PluginConnector>,
    pub(super) another: MakeConnector,
    pub(super) control: Box<dyn Control>,
}

impl Lab {
    pub(super) async fn open(fixture: &dyn Fixture) -> Result<Lab, Failure> {
        let has = fixture.capabilities();
        let place = within(has.patience, "a place from the fixture", fixture.place()).await?;
        let Place { url, client, connector: another, control } =
            place.map_err(|error| Failure::new("a place from the fixture", error).or_look_at("Fixture::place"))?;
        Ok(Lab { has, url, client, connector: another(), another, control })
    }

    /// The end of another engine.
    pub(super) fn another_engine(&self) -> Box<dyn PluginConnector> {
        (self.another)()
    }

    /// A link: the engine's end and the plugin's.
    pub(super) async fn link(&mut self) -> Result<(End, End), Failure> {
        let Lab { has, url, client, connector, .. } = self;
        let limit = has.patience;
        both(async { linked("the engine's", limit, connector.connect(url)).await }, async {
            linked("the plugin's", limit, client.accept()).await
        })
        .await
    }
}

/// The plugin's end of the link on which this number comes first, and those of others that say nothing, as strangers do
/// and dials that were given up.
pub(super) async fn accept_numbered(
    has: &Capabilities,
    client: &mut dyn ClientConnector,
    number: i64,
) -> Result<(End, Vec<End>), Failure> {
    let search = async {
        let mut waiting: Vec<End> = vec![];
        loop {
            let event = {
                let mut accepting = client.accept();
                poll_fn(|cx| {
                    if let Poll::Ready(accepted) = accepting.as_mut().poll(cx) {
                        return Poll::Ready(Either::Left(accepted));
                    }
                    for (at, end) in waiting.iter_mut().enumerate() {
                        if let Poll::Ready(said) = end.poll_message(cx) {
                            return Poll::Ready(Either::Right((at, said)));
                        }
                    }
                    Poll::Pending
                })
                .await
            };
            match event {
                Either::Left(Ok(link)) => waiting.push(End::new("the plugin's", link, has.patience)),
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
    let found = within(has.patience, what, search).await.and_then(|found| found);
    found.or_look_at("accept: it goes on to the next connection, whatever this one does").rule(ACCEPT)
}

pub(super) async fn linked(
    who: &'static str,
    limit: Duration,
    making: impl Future<Output = Result<Box<dyn Link>, LinkEnd>>,
) -> Result<End, Failure> {
    let (method, rule) = match who.contains("engine") {
        true => ("connect: it gives a link once the other end is there, without waiting for a message", CONNECT),
        false => ("accept: it gives a link once an engine has dialled, without waiting for a message", ACCEPT),
    };
    let made = within(limit, format!("{who} end of a link"), making).await.or_look_at(method).rule(rule)?;
    match made {
        Ok(link) => Ok(End::new(who, link, limit)),
        Err(end) => {
            has_text(&end)?;
            Err(Failure::new(format_args!("{who} end of a link"), end).or_look_at(method).rule(rule))
        }
    }
}

/// A link, the engine's end and the plugin's, and the place it is in, which is to be kept.
pub(super) async fn pair(fixture: &dyn Fixture) -> Result<(End, End, Lab), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (engine, plugin) = lab.link().await?;
    Ok((engine, plugin, lab))
}

/// The same, with the end that sends first: the engine's or the plugin's.
pub(super) async fn pair_from(fixture: &dyn Fixture, from_engine: bool) -> Result<(End, End, Lab), Failure> {
    let (engine, plugin, lab) = pair(fixture).await?;
    Ok(if from_engine { (engine, plugin, lab) } else { (plugin, engine, lab) })
}

/// An event that is told by its number.
pub(super) fn numbered(number: i64) -> Message {
    Message { id: Some(number.into()), key: Some(Name::new_static("e")), ..Message::new(Action::Emit) }
}

/// The number that an event is told by.
pub(super) fn number_of(message: &Message) -> Option<i64> {
    message.id.as_ref()?.number()
}

/// An event with a payload of so many bytes that depends on its number.
pub(super) fn filled(number: i64, bytes: usize) -> Message {
    let letter = char::from(b'a' + (number.unsigned_abs() % 26) as u8);
    let payload = Payload::new(vec![letter.to_string().repeat(bytes)]);
    Message { payload: Some(payload), ..numbered(number) }
}

/// Fills a link to an end that does not read, up to 8 MiB; how many it took.
pub(super) async fn fill(end: &mut End, most: usize) -> Result<i64, Failure> {
    let most = most.min(8 << 20) as i64 / 60_000;
    for number in 0..most {
        if !end.is_ready().await {
            return Ok(number);
        }
        end.take(filled(number, 60_000))?;
        end.start_flush().await;
    }
    Ok(most)
}

/// A message as text, to be compared: equal text is an equal message.
pub(super) fn text(message: &Message) -> String {
    message.encode().map_or_else(|error| error.to_string(), |text| String::from_utf8_lossy(&text).into_owned())
}

/// Within the limit, or a failure. The limit is looked at first: what is ready only because the limit's own timer woke
/// the task was not woken by whom it waited for.
pub(super) fn within<T, F: Future<Output = T>, W: Display>(
    limit: Duration,
    what: W,
    work: F,
) -> impl Future<Output = Result<T, Failure>> {
    /// Whoever is woken so often within one wait does not sleep.
    const MOST_POLLS: usize = 20_000_000;
    let what = what.to_string();
    async move {
        let mut work = pin!(work);
        let mut timer = runtime::sleep(limit);
        let mut polls = 0;
        let done = poll_fn(|cx| {
            polls += 1;
            if polls > MOST_POLLS {
                return Poll::Ready(Err("a task that is woken again and again"));
            }
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err("nothing"));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await;
        done.map_err(|came| Failure::new(format_args!("{what} within {limit:?}"), came))
    }
}

type Part<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Both, side by side, or the first failure. Each is woken by what it waits for alone, so that a lost wake-up of one
/// is not hidden by the other's.
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

/// Lets others go on.
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

/// A moment for what is under way.
pub(super) async fn moment() {
    runtime::sleep(Duration::from_millis(50)).await;
}
