//! The memory of the engine's process for an idle plugin, and for a pending call.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use connector_core::{Engine, Plugin, PluginClient};
use tokio::time::sleep;

use super::system::{memory, open_many};
use super::table::{Row, Table, Target};
use super::{Trio, progress};
use crate::Threads;
use crate::measure::{Result, Server, text};

const IDLE: &str = "\
The memory of the engine's process for each idle plugin behind a websocket: heap and stacks as far as they were\n\
ever touched, without the kernel's memory for a socket. The plugins are in another process.";

const PLUGINS: usize = 1_000;
const FIRST_PLUGINS: usize = 100;

pub(super) async fn idle(rounds: usize) -> Result<Table> {
    open_many()?;
    let server = Server::start("ws", Threads::Current).await?;
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local"))?;
    engine.manager().activate("local").await?;
    let states = [
        ("after its handshake", None),
        ("after a call of 64 bytes", Some(text(64))),
        ("after a call of 64 KiB", Some(text(64 << 10))),
    ];
    let each = (PLUGINS / rounds).max(1);
    let mut held = vec![0.0; rounds];
    let mut rows = Vec::new();
    for (what, text) in states {
        progress(format_args!("idle: {} plugins {what}", each * rounds));
        visit(&engine, &local, &server.address, 0..FIRST_PLUGINS, text.as_deref()).await?;
        for (round, held) in held.iter_mut().enumerate() {
            let first = FIRST_PLUGINS + round * each;
            let before = memory()?;
            visit(&engine, &local, &server.address, first..first + each, text.as_deref()).await?;
            *held += (memory()? - before) / each as f64 / 1024.0;
        }
        let row = Row::new(what, "KiB a plugin", held.clone());
        // Memory retained after a large message has no target.
        rows.push(if text.is_some_and(|text| text.len() > 64) { row } else { row.target(Target::Figure(40.0)) });
    }
    engine.shutdown().await;
    Ok(Table { theme: "idle", about: IDLE, rows })
}

/// Connects some plugins, or makes each echo a text.
async fn visit(
    engine: &Engine,
    local: &PluginClient,
    url: &str,
    which: Range<usize>,
    text: Option<&str>,
) -> Result<()> {
    for number in which {
        let name = format!("plugin{number}");
        match text {
            None => {
                engine.register(transport_ws::plugin(name.as_str(), url))?;
                engine.manager().activate(&name).await?;
            }
            Some(text) => drop(local.call::<String>(&name, "echo", (text.to_owned(),)).await?),
        }
    }
    Ok(())
}

const PENDING: &str = "\
The memory of the engine's process for each pending call of a plugin behind a websocket. A call made here is a\n\
future, which its caller holds; the memory of a call routed from another plugin behind a websocket is all the\n\
engine's. The plugins are in other processes.";

const CALLS: usize = 10_000;
const FIRST_CALLS: usize = 1_000;

pub(super) async fn pending(rounds: usize) -> Result<Table> {
    let trio = Trio::start().await?;
    let mut calls: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::with_capacity(FIRST_CALLS + CALLS);
    let mut future = 0;
    let here = held("made here", &trio, rounds, async |n| {
        let first = calls.len();
        for _ in 0..n {
            let local = trio.local.clone();
            let call = async move { local.call::<()>("b", "hang", ()).await };
            future = size_of_val(&call);
            calls.push(Box::pin(call));
        }
        // Each sends its request when first polled.
        match poll_fn(|cx| Poll::Ready(calls[first..].iter_mut().any(|call| call.as_mut().poll(cx).is_ready()))).await {
            true => Err("a call that should never end has ended".into()),
            false => Ok(()),
        }
    });
    let here = here.await?;

    // Keeps the first calls: reused memory would hide the growth.
    let other = Trio::start().await?;
    let routed =
        held("routed", &other, rounds, async |n| Ok(other.local.call("a", "park", ("b".to_owned(), n)).await?));
    let routed = routed.await?;
    drop(calls);
    tokio::join!(trio.engine.shutdown(), other.engine.shutdown());

    let without = here.iter().map(|bytes| bytes - future as f64).collect();
    let rows = vec![
        Row::new("made here, with its future", "bytes a call", here),
        Row::new("made here, without", "bytes a call", without).note(format!("the future: {future} bytes")),
        Row::new("routed between plugins", "bytes a call", routed).target(Target::Figure(1024.0)),
    ];
    Ok(Table { theme: "pending", about: PENDING, rows })
}

/// The memory for each call, for each round that `start`s more pending calls.
async fn held(
    what: &str,
    trio: &Trio,
    rounds: usize,
    mut start: impl AsyncFnMut(usize) -> Result<()>,
) -> Result<Vec<f64>> {
    let each = (CALLS / rounds).max(1);
    let (mut held, mut waiting) = (Vec::new(), 0);
    for round in 0..=rounds {
        progress(format_args!("pending: calls {what}, {waiting} wait"));
        let n = if round == 0 { FIRST_CALLS } else { each };
        let before = memory()?;
        start(n).await?;
        waiting += n;
        while trio.local.call::<usize>("b", "hanging", ()).await? < waiting {
            sleep(Duration::from_millis(1)).await;
        }
        if round > 0 {
            held.push((memory()? - before) / n as f64);
        }
    }
    Ok(held)
}
