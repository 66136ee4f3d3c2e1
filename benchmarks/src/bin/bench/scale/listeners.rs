//! One event, with a growing number of listeners.

use std::sync::atomic::{AtomicUsize, Ordering};

use connector_core::{Engine, Plugin, PluginClient, Registration};
use futures_util::future::try_join_all;
use serde::{Serialize, Serializer};

use super::table::{Row, Table, Target, spread};
use super::{Pace, progress, timed};
use crate::Threads;
use crate::measure::{Result, Server, text};

const ABOUT: &str = "\
A plugin in this process emits 64 bytes of text. The ratio compares the time for each listener with that for 10:\n\
1 is linear. Measured over bursts of 256 events, each of which ends with a call to every listener, so that all\n\
have received them. However many listen, an event must be serialized only once.";

/// The locations and numbers of listeners.
const AUDIENCES: &[(Place, &[usize])] =
    &[(Place::Here, &[1, 10, 100, 1_000]), (Place::Websockets, &[1, 10, 100]), (Place::Threads, &[1, 10, 100])];
/// Fewer than a link's queue holds before it counts as full.
const BURST: usize = 256;

#[derive(Clone, Copy)]
enum Place {
    Here,
    Websockets,
    Threads,
}

/// How often a [`Counted`] was serialized.
static SERIALIZED: AtomicUsize = AtomicUsize::new(0);

/// Text that counts how often it is serialized.
struct Counted(String);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        SERIALIZED.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_str(&self.0)
    }
}

pub(super) async fn measure(pace: Pace) -> Result<Table> {
    let server = Server::start("ws", Threads::Current).await?;
    let mut rows = Vec::new();
    for &(place, sizes) in AUDIENCES {
        progress(format_args!("listeners: {}", place.name()));
        rows.extend(grow(place, sizes, &server.address, pace).await?);
    }
    Ok(Table { theme: "listeners", about: ABOUT, rows })
}

async fn grow(place: Place, sizes: &[usize], url: &str, pace: Pace) -> Result<Vec<Row>> {
    let mut audiences = Vec::new();
    for &size in sizes {
        let audience = Audience::gather(place, size, url).await?;
        audience.bursts(4).await?;
        let times = pace.times(timed(audience.bursts(4)).await? / 4);
        audiences.push((size, audience, times));
    }
    let mut took = vec![Vec::new(); sizes.len()];
    let (mut all, mut too_often) = (0, 0);
    for round in 0..pace.rounds {
        progress(format_args!("listeners: {}, round {} of {}", place.name(), round + 1, pace.rounds));
        for (row, (_, audience, times)) in audiences.iter().enumerate() {
            let events = times * BURST;
            SERIALIZED.store(0, Ordering::Relaxed);
            took[row].push(timed(audience.bursts(*times)).await?.as_secs_f64() * 1e6 / events as f64);
            all += events;
            too_often += SERIALIZED.load(Ordering::Relaxed).saturating_sub(events);
        }
    }
    let with_ten = sizes.iter().position(|size| *size == 10).map(|row| took[row].clone()).unwrap_or_default();
    let mut rows = Vec::new();
    for (&size, took) in sizes.iter().zip(took) {
        let linear: Vec<f64> = with_ten.iter().map(|us| us / 10.0 * size as f64).collect();
        let each = format!("{:.0} ns a listener", spread(took.clone())[1] * 1e3 / size as f64);
        rows.push(Row::new(format!("{size} {}", place.name()), "µs an event", took).ratio_to(&linear).note(each));
    }
    let again = Row::new(format!("{}, serialized again", place.name()), "times", vec![too_often as f64]);
    rows.push(again.target(Target::Figure(0.0)).note(format!("in {all} events")));
    for (_, audience, _) in audiences {
        audience.engine.shutdown().await;
    }
    Ok(rows)
}

/// An engine with a plugin `emitter` and its listeners.
struct Audience {
    engine: Engine,
    emitter: PluginClient,
    listeners: Vec<String>,
}

impl Audience {
    async fn gather(place: Place, size: usize, url: &str) -> Result<Audience> {
        let engine = Engine::new();
        let emitter = engine.register(Plugin::new("emitter"))?;
        engine.manager().activate("emitter").await?;
        let listeners: Vec<_> = (0..size).map(|number| format!("listener{number}")).collect();
        for name in &listeners {
            engine.register(place.registration(name, url))?;
            emitter.call::<()>(name, "listen", ("emitter".to_owned(),)).await?;
        }
        Ok(Audience { engine, emitter, listeners })
    }

    /// Emits `times` bursts, and checks that each listener receives each event.
    async fn bursts(&self, times: usize) -> Result<()> {
        let text = text(64);
        for _ in 0..times {
            for _ in 0..BURST {
                self.emitter.emit("tick", (Counted(text.clone()),)).await?;
            }
            let received = self.listeners.iter().map(|name| self.emitter.call::<usize>(name, "received", ()));
            if try_join_all(received).await?.iter().any(|received| *received != BURST) {
                return Err("a listener did not receive each event once".into());
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Here => "in this process",
            Place::Websockets => "behind websockets",
            Place::Threads => "in threads",
        }
    }

    fn registration(self, name: &str, url: &str) -> Registration {
        match self {
            Place::Here => super::methods(Plugin::new(name)).into(),
            Place::Websockets => transport_ws::plugin(name, url),
            Place::Threads => transport_worker::worker(name, crate::plugin),
        }
    }
}
