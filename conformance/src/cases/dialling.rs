//! Making links: again after one has ended, for several engines, and failing where the peer is unreachable.

use std::time::Duration;

use futures_util::FutureExt;

use crate::capabilities::Capabilities;
use crate::checked_link::has_text;
use crate::contract::{ACCEPT, CANCEL, DIAL_TIMED_OUT, IDLE, OWN_LINKS, UNREACHABLE};
use crate::failure::{Failure, Hint, same, shown};
use crate::fixture::Fixture;
use crate::harness::{CheckedLink, Harness, accept_numbered, both, establish, numbered, pause, within, yield_now};
use crate::host::all;
use crate::runtime;
use connector_core::{ConnectError, PluginConnector};

/// Sends one message each way and checks that it is the first to arrive.
async fn carries(engine: &mut CheckedLink, plugin: &mut CheckedLink, number: i64) -> Result<(), Failure> {
    engine.send(numbered(number)).await?;
    same("the first message", &plugin.next().await?.id, &Some(number.into())).hint(APART)?;
    plugin.send(numbered(-number)).await?;
    same("the first message", &engine.next().await?.id, &Some((-number).into())).hint(APART)
}

const APART: &str = "state shared between links: buffers and queues belong to one link";

/// An engine may dial before the plugin's end accepts.
pub async fn accept_may_come_after_connect(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let Harness { has, url, client, connector, .. } = &mut harness;
    let accept = async {
        pause().await;
        establish("the plugin's", has.timeout, client.accept()).await
    };
    let connect = establish("the engine's", has.timeout, connector.connect(url));
    let (mut engine, mut plugin) = both(connect, accept).await?;
    carries(&mut engine, &mut plugin, 5).await
}

/// The plugin's end may accept before an engine dials.
pub async fn accept_may_come_before_connect(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let Harness { has, url, client, connector, .. } = &mut harness;
    let connect = async {
        pause().await;
        establish("the engine's", has.timeout, connector.connect(url)).await
    };
    let accept = establish("the plugin's", has.timeout, client.accept());
    let (mut engine, mut plugin) = both(connect, accept).await.hint("the wake-up of accept")?;
    carries(&mut engine, &mut plugin, 5).await
}

/// `accept` may be dropped and called again at any time without losing a link.
pub async fn accept_is_cancel_safe(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let Harness { has, url, client, connector, .. } = &mut harness;
    let accept = async {
        let again = async {
            loop {
                if let Some(accepted) = client.accept().now_or_never() {
                    return accepted;
                }
                runtime::sleep(Duration::from_millis(1)).await;
            }
        };
        establish("the plugin's", has.timeout, again).await
    };
    let connect = establish("the engine's", has.timeout, connector.connect(url));
    let both_ends = both(connect, accept).await.hint("accept: its progress is kept when its future is dropped");
    let (mut engine, mut plugin) = both_ends?;
    carries(&mut engine, &mut plugin, 5).await
}

/// A message that an engine sends right after connecting arrives, whenever the plugin's end starts to read.
pub async fn the_first_message_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let Harness { has, url, client, connector, .. } = &mut harness;
    let connect = async {
        let mut engine = establish("the engine's", has.timeout, connector.connect(url)).await?;
        engine.send(numbered(1)).await?;
        Ok(engine)
    };
    let accept = async {
        let mut plugin = establish("the plugin's", has.timeout, client.accept()).await?;
        pause().await;
        same("the first message", &plugin.next().await?.id, &Some(1.into())).map(|()| plugin)
    };
    let (mut engine, mut plugin) = both(connect, accept).await.hint("data that arrives right behind the connection")?;
    carries(&mut engine, &mut plugin, 5).await
}

/// Once the plugin's end is dropped, connecting fails within a bound.
pub async fn connect_fails_without_a_server(fixture: &dyn Fixture) -> Result<(), Failure> {
    let Harness { has, url, client, mut connector, control: _control, another: _another, .. } =
        Harness::open(fixture).await?;
    drop(client);
    fails(&has, &mut connector, &url).await
}

/// After a link has ended, another one can be made and carries messages.
pub async fn a_second_link_follows_the_first(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    for number in 1..6 {
        let (mut engine, mut plugin) = harness.link().await.hint("connect and accept: they are called again")?;
        carries(&mut engine, &mut plugin, number).await?;
        match number % 2 {
            0 => {
                drop(engine);
                plugin.end().await?;
            }
            _ => drop(both(engine.disconnect(), plugin.end()).await?),
        }
    }
    Ok(())
}

/// Messages of an ended link do not appear on the next.
pub async fn links_do_not_inherit_messages(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    for round in 1..4 {
        let (mut engine, mut plugin) = harness.link().await?;
        carries(&mut engine, &mut plugin, round * 1000).await?;
        // These stay unread.
        for number in 0..20 {
            engine.queue(numbered(round * 1000 + number)).await?;
            plugin.queue(numbered(round * 1000 + number)).await?;
        }
        engine.flush().await?;
        plugin.flush().await?;
        drop((engine, plugin));
    }
    let (mut engine, mut plugin) = harness.link().await?;
    carries(&mut engine, &mut plugin, 5).await?;
    pause().await;
    engine.is_quiet().await.hint(APART)?;
    plugin.is_quiet().await.hint(APART)
}

/// After a cut, the next link carries its own messages from the first on, and none that were in transit.
pub async fn a_link_after_a_cut_is_new(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    for round in 1..4 {
        let (mut engine, mut plugin) = harness.link().await.hint("connect and accept after a cut")?;
        carries(&mut engine, &mut plugin, round).await?;
        for number in 0..20 {
            engine.queue(numbered(1000 + number)).await?;
            plugin.queue(numbered(1000 + number)).await?;
        }
        harness.control.cut();
        both(engine.end(), plugin.end()).await?;
        harness.control.heal();
    }
    let (mut engine, mut plugin) = harness.link().await.hint("connect and accept after a cut")?;
    carries(&mut engine, &mut plugin, 5).await?;
    pause().await;
    engine.is_quiet().await.hint(APART)?;
    plugin.is_quiet().await.hint(APART)
}

/// Checks that dialling fails. A transport without a greeting may return a link first; it must then end.
async fn fails(has: &Capabilities, connector: &mut Box<dyn PluginConnector>, url: &str) -> Result<(), Failure> {
    let tried = within(has.timeout, "connect to fail", connector.connect(url)).await;
    match tried.hint("the time limit of connect").rule(UNREACHABLE)? {
        Err(error) => has_text(&error.into()),
        Ok(link) => {
            let (messages, _) = CheckedLink::new("the engine's", link, has.timeout)
                .rest()
                .await
                .hint("connect: it returns a link only if the peer exists")
                .rule(UNREACHABLE)?;
            same("the messages without a peer", &messages.len(), &0)
        }
    }
}

/// Connecting to an unreachable peer fails within a bound.
pub async fn connect_fails_while_cut(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let link = harness.link().await?;
    harness.control.cut();
    drop(link);
    for _ in 0..3 {
        let Harness { has, url, connector, .. } = &mut harness;
        fails(has, connector, url).await?;
    }
    harness.control.heal();
    let (mut engine, mut plugin) = harness.link().await.hint("connect after it has failed")?;
    carries(&mut engine, &mut plugin, 5).await
}

/// `connect` may be dropped at any time and leaves nothing behind: the next link carries messages.
pub async fn connect_is_cancel_safe(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    for _ in 0..3 {
        let Harness { url, connector, .. } = &mut harness;
        // A link that is made at once is dropped as well.
        drop(connector.connect(url).now_or_never());
    }
    let Harness { has, url, client, connector, .. } = &mut harness;
    let connect = establish("the engine's", has.timeout, connector.connect(url));
    let accept = async {
        // Abandoned dials may get far enough to be accepted; their links end at once.
        for _ in 0..4 {
            let mut plugin = establish("the plugin's", has.timeout, client.accept()).await?;
            match plugin.inbound().await? {
                Ok(Ok(message)) => return same("the first message", &message.id, &Some(7.into())).map(|()| plugin),
                Ok(Err(error)) => return Err(Failure::new("a message", error)),
                Err(_) => {}
            }
        }
        Err(Failure::new("the link that was kept", "only abandoned links"))
    };
    let engine = async {
        let mut engine = connect.await?;
        engine.send(numbered(7)).await?;
        Ok(engine)
    };
    let made = both(engine, accept).await.hint("state that a dropped connect leaves behind");
    let (mut engine, mut plugin) = made?;
    carries(&mut engine, &mut plugin, 5).await
}

/// Two engines have a link each: messages do not leak between them, and the end of one link does not affect the other.
pub async fn engines_do_not_disturb_each_other(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let (mut engine, mut plugin) = harness.link().await?;
    let mut another = harness.another_engine();
    let Harness { has, url, client, .. } = &mut harness;
    let (mut second, mut its_plugin) = both(
        establish("the second engine's", has.timeout, another.connect(url)),
        establish("the plugin's second", has.timeout, client.accept()),
    )
    .await
    .hint("accept: it returns a link for each engine")?;
    for number in 1..50 {
        engine.queue(numbered(number)).await?;
        second.queue(numbered(1000 + number)).await?;
        engine.flush().await?;
        second.flush().await?;
        same("the first engine's message", &plugin.next().await?.id, &Some(number.into())).hint(APART)?;
        same("the second engine's message", &its_plugin.next().await?.id, &Some((1000 + number).into())).hint(APART)?;
    }
    both(engine.disconnect(), plugin.end()).await?;
    carries(&mut second, &mut its_plugin, 5).await?;
    drop(its_plugin);
    second.end().await.map(drop)
}

/// Makes a link although the plugin's end may accept others first. Returns the engine's end, the plugin's, and those others.
async fn dial_among_others(harness: &mut Harness) -> Result<(CheckedLink, (CheckedLink, Vec<CheckedLink>)), Failure> {
    let Harness { has, url, client, connector, .. } = harness;
    let connect = async {
        let mut engine = establish("the engine's", has.timeout, connector.connect(url)).await?;
        engine.send(numbered(7)).await?;
        Ok(engine)
    };
    both(connect, accept_numbered(has, &mut **client, 7)).await
}

/// Abandons fifty dials at different moments, then makes a link and checks that it is unaffected.
async fn abandon_dials(fixture: &dyn Fixture) -> Result<(Harness, CheckedLink, CheckedLink), Failure> {
    let mut harness = Harness::open(fixture).await?;
    for round in 0..50 {
        let Harness { url, connector, .. } = &mut harness;
        let mut connect = connector.connect(url);
        let mut made = false;
        for _ in 0..round % 7 {
            if (&mut connect).now_or_never().is_some() {
                made = true;
                break;
            }
            yield_now().await;
        }
        if !made && round % 10 == 9 {
            // Lets other threads and processes make progress.
            drop(futures_util::future::select(connect, runtime::sleep(Duration::from_millis(2))).await);
        }
    }
    let made = dial_among_others(&mut harness).await;
    let (mut engine, (mut plugin, others)) = made.hint(LEFT).rule(CANCEL)?;
    for mut other in others {
        other.end().await.hint(LEFT).rule(CANCEL)?;
    }
    carries(&mut engine, &mut plugin, 5).await?;
    Ok((harness, engine, plugin))
}

const LEFT: &str = "what a dropped connect leaves behind: sockets, tasks, links without an owner";

/// Fifty abandoned dials leave nothing that the plugin's end could take for an engine.
pub async fn an_abandoned_dial_leaves_no_link(fixture: &dyn Fixture) -> Result<(), Failure> {
    abandon_dials(fixture).await.map(drop)
}

/// Fifty abandoned dials leave no connection open.
pub async fn an_abandoned_dial_leaves_no_connection_open(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (harness, _engine, _plugin) = abandon_dials(fixture).await?;
    let mut open = 0;
    for _ in 0..100 {
        open = harness.control.open_connections();
        if open == 1 {
            return Ok(());
        }
        pause().await;
    }
    same("open connections", &open, &1).hint(LEFT).rule(CANCEL)
}

/// A dial to an unresponsive peer ends and is reported as timed out. A transport that needs no response may return a
/// link.
pub async fn an_unanswered_dial_times_out(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    harness.control.stall();
    let Harness { has, url, connector, .. } = &mut harness;
    let tried = within(has.timeout, "connect to end", connector.connect(url)).await;
    match tried.hint("the time limit of connect").rule(DIAL_TIMED_OUT)? {
        Ok(_) | Err(ConnectError::TimedOut(_)) => Ok(()),
        Err(end) => Err(Failure::new("ConnectError::TimedOut", shown(&end)))
            .hint("how connect reports its time limit")
            .rule(DIAL_TIMED_OUT),
    }
}

/// Silent connections do not keep an engine from being accepted.
pub async fn an_idle_connection_does_not_delay_others(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    for _ in 0..10 {
        harness.control.connect_idle();
    }
    pause().await;
    let made = dial_among_others(&mut harness).await;
    let hint = "accept: what it awaits on one connection before it takes the next";
    let (mut engine, (mut plugin, _idle)) = made.hint(hint).rule(IDLE)?;
    carries(&mut engine, &mut plugin, 5).await
}

/// Any number of links can follow each other.
pub async fn link_after_link_is_accepted(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    for number in 1..16 {
        let made = harness.link().await.hint("accept: state that it keeps about ended links").rule(ACCEPT);
        let (mut engine, mut plugin) = made?;
        carries(&mut engine, &mut plugin, number).await?;
    }
    Ok(())
}

/// Twelve engines that dial at the same pause get a link each, and at each there is one end and its other.
pub async fn engines_dialling_at_once_each_get_a_link(fixture: &dyn Fixture) -> Result<(), Failure> {
    const COUNT: i64 = 12;
    const HINT: &str = "accept and connect: state that belongs to one connection, and shared state";
    let mut harness = Harness::open(fixture).await?;
    let connectors: Vec<_> = (0..COUNT).map(|_| harness.another_engine()).collect();
    let Harness { has, url, client, .. } = &mut harness;
    let (has, url) = (&*has, &*url);
    let dials = connectors.into_iter().zip(1..).map(|(mut connector, number)| async move {
        let mut engine = establish("one engine's", has.timeout, connector.connect(url)).await?;
        engine.send(numbered(number)).await?;
        same("the response", &engine.next().await?.id, &Some((1000 + number).into())).hint(HINT).rule(OWN_LINKS)?;
        Ok(engine)
    });
    let dial = all(dials.collect());
    let serve = async {
        let mut plugins = vec![];
        for _ in 0..COUNT {
            plugins.push(establish("the plugin's", has.timeout, client.accept()).await?);
        }
        let mut numbers = vec![];
        for plugin in &mut plugins {
            let number = plugin.next().await?.id.and_then(|id| id.number()).unwrap_or_default();
            numbers.push(number);
            plugin.send(numbered(1000 + number)).await?;
        }
        numbers.sort_unstable();
        same("the engines", &numbers, &(1..=COUNT).collect())?;
        Ok(plugins)
    };
    both(dial, serve).await.hint(HINT).rule(OWN_LINKS).map(drop)
}
