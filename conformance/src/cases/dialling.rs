//! Links are made, again and for several engines; none can be made where nobody is, and that is told.

use std::time::Duration;

use futures_util::FutureExt;

use crate::checked_link::has_text;
use crate::contract::{ACCEPT, CANCEL, DIAL_TIMED_OUT, NOBODY, OWN_LINKS, STRANGER};
use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::{Capabilities, Fixture};
use crate::harness::{End, Lab, accept_numbered, both, linked, moment, numbered, within, yield_now};
use crate::host::all;
use crate::runtime;
use connector_core::{LinkEnd, PluginConnector};

/// Sends one message each way and sees that it is the first that comes.
async fn carries(engine: &mut End, plugin: &mut End, number: i64) -> Result<(), Failure> {
    engine.send(numbered(number)).await?;
    same("the first message", &plugin.next().await?.id, &Some(number.into())).look_at(APART)?;
    plugin.send(numbered(-number)).await?;
    same("the first message", &engine.next().await?.id, &Some((-number).into())).look_at(APART)
}

const APART: &str = "what links share: buffers and queues belong to one link";

/// An engine may dial before the plugin's end asks for links.
pub async fn accept_may_come_after_connect(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let Lab { has, url, client, connector, .. } = &mut lab;
    let accept = async {
        moment().await;
        linked("the plugin's", has.patience, client.accept()).await
    };
    let connect = linked("the engine's", has.patience, connector.connect(url));
    let (mut engine, mut plugin) = both(connect, accept).await?;
    carries(&mut engine, &mut plugin, 5).await
}

/// The plugin's end may ask for links before an engine dials.
pub async fn accept_may_come_before_connect(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let Lab { has, url, client, connector, .. } = &mut lab;
    let connect = async {
        moment().await;
        linked("the engine's", has.patience, connector.connect(url)).await
    };
    let accept = linked("the plugin's", has.patience, client.accept());
    let (mut engine, mut plugin) = both(connect, accept).await.look_at("what wakes accept")?;
    carries(&mut engine, &mut plugin, 5).await
}

/// Asking for a link may be given up and begun anew at any time: no link is lost by it.
pub async fn accept_is_cancel_safe(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let Lab { has, url, client, connector, .. } = &mut lab;
    let accept = async {
        let again = async {
            loop {
                if let Some(accepted) = client.accept().now_or_never() {
                    return accepted;
                }
                runtime::sleep(Duration::from_millis(1)).await;
            }
        };
        linked("the plugin's", has.patience, again).await
    };
    let connect = linked("the engine's", has.patience, connector.connect(url));
    let both_ends = both(connect, accept).await.look_at("accept: what it was doing is kept when its future is dropped");
    let (mut engine, mut plugin) = both_ends?;
    carries(&mut engine, &mut plugin, 5).await
}

/// What an engine sends as soon as it is connected arrives, whenever the plugin's end begins to read.
pub async fn the_first_message_arrives(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let Lab { has, url, client, connector, .. } = &mut lab;
    let connect = async {
        let mut engine = linked("the engine's", has.patience, connector.connect(url)).await?;
        engine.send(numbered(1)).await?;
        Ok(engine)
    };
    let accept = async {
        let mut plugin = linked("the plugin's", has.patience, client.accept()).await?;
        moment().await;
        same("the first message", &plugin.next().await?.id, &Some(1.into())).map(|()| plugin)
    };
    let (mut engine, mut plugin) = both(connect, accept).await.look_at("what comes right behind the connection")?;
    carries(&mut engine, &mut plugin, 5).await
}

/// Where the plugin's end is gone, connecting fails within a bound.
pub async fn connect_fails_where_nobody_serves(fixture: &dyn Fixture) -> Result<(), Failure> {
    let Lab { has, url, client, mut connector, control: _control, another: _another } = Lab::open(fixture).await?;
    drop(client);
    fails(&has, &mut connector, &url).await
}

/// After a link has ended another can be made, and carries.
pub async fn a_second_link_follows_the_first(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    for number in 1..6 {
        let (mut engine, mut plugin) = lab.link().await.look_at("connect and accept: they are called again")?;
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

/// Nothing of a link that has ended appears on the next.
pub async fn links_do_not_inherit_messages(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    for round in 1..4 {
        let (mut engine, mut plugin) = lab.link().await?;
        carries(&mut engine, &mut plugin, round * 1000).await?;
        // Neither is received.
        for number in 0..20 {
            engine.put(numbered(round * 1000 + number)).await?;
            plugin.put(numbered(round * 1000 + number)).await?;
        }
        engine.flush().await?;
        plugin.flush().await?;
        drop((engine, plugin));
    }
    let (mut engine, mut plugin) = lab.link().await?;
    carries(&mut engine, &mut plugin, 5).await?;
    moment().await;
    engine.is_quiet().await.look_at(APART)?;
    plugin.is_quiet().await.look_at(APART)
}

/// After a cut, and nothing of what was on its way, the next link carries from its first message on.
pub async fn a_link_after_a_cut_is_new(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    for round in 1..4 {
        let (mut engine, mut plugin) = lab.link().await.look_at("connect and accept after a cut")?;
        carries(&mut engine, &mut plugin, round).await?;
        for number in 0..20 {
            engine.put(numbered(1000 + number)).await?;
            plugin.put(numbered(1000 + number)).await?;
        }
        lab.control.cut();
        both(engine.end(), plugin.end()).await?;
        lab.control.heal();
    }
    let (mut engine, mut plugin) = lab.link().await.look_at("connect and accept after a cut")?;
    carries(&mut engine, &mut plugin, 5).await?;
    moment().await;
    engine.is_quiet().await.look_at(APART)?;
    plugin.is_quiet().await.look_at(APART)
}

/// Dialling fails. A stream that needs no greeting may be connected before anybody knows better: then it ends.
async fn fails(has: &Capabilities, connector: &mut Box<dyn PluginConnector>, url: &str) -> Result<(), Failure> {
    let tried = within(has.patience, "connect to fail", connector.connect(url)).await;
    match tried.look_at("the time limit of connect").rule(NOBODY)? {
        Err(end) => {
            has_text(&end)?;
            let told = !matches!(end, LinkEnd::Closed { .. } | LinkEnd::Disconnected | LinkEnd::Silent(_));
            check(told, || Failure::new("LinkEnd::Refused, or why else no link could be made", shown(&end)))
                .look_at("how connect tells that nobody is there")
                .rule(NOBODY)
        }
        Ok(link) => {
            let (messages, _) = End::new("the engine's", link, has.patience)
                .rest()
                .await
                .look_at("connect: it gives a link only where somebody is")
                .rule(NOBODY)?;
            same("the messages of nobody", &messages.len(), &0)
        }
    }
}

/// Where nobody can be reached, connecting fails within a bound.
pub async fn connect_fails_while_cut(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let link = lab.link().await?;
    lab.control.cut();
    drop(link);
    for _ in 0..3 {
        let Lab { has, url, connector, .. } = &mut lab;
        fails(has, connector, url).await?;
    }
    lab.control.heal();
    let (mut engine, mut plugin) = lab.link().await.look_at("connect after it has failed")?;
    carries(&mut engine, &mut plugin, 5).await
}

/// Connecting may be given up at any time, and what was made goes: the next link carries.
pub async fn connect_is_cancel_safe(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    for _ in 0..3 {
        let Lab { url, connector, .. } = &mut lab;
        // It may be made at once; then it is dropped just the same.
        drop(connector.connect(url).now_or_never());
    }
    let Lab { has, url, client, connector, .. } = &mut lab;
    let connect = linked("the engine's", has.patience, connector.connect(url));
    let accept = async {
        // Those given up may have come so far that they are accepted; they end at once.
        for _ in 0..4 {
            let mut plugin = linked("the plugin's", has.patience, client.accept()).await?;
            match plugin.inbound().await? {
                Ok(Ok(message)) => return same("the first message", &message.id, &Some(7.into())).map(|()| plugin),
                Ok(Err(error)) => return Err(Failure::new("a message", error)),
                Err(_) => {}
            }
        }
        Err(Failure::new("the link that was kept", "only links that were given up"))
    };
    let engine = async {
        let mut engine = connect.await?;
        engine.send(numbered(7)).await?;
        Ok(engine)
    };
    let made = both(engine, accept).await.look_at("what a dropped connect leaves behind");
    let (mut engine, mut plugin) = made?;
    carries(&mut engine, &mut plugin, 5).await
}

/// Two engines have a link each; what one says the other does not hear, and the end of one is not the other's.
pub async fn engines_do_not_disturb_each_other(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    let (mut engine, mut plugin) = lab.link().await?;
    let mut another = lab.another_engine();
    let Lab { has, url, client, .. } = &mut lab;
    let (mut second, mut its_plugin) = both(
        linked("the second engine's", has.patience, another.connect(url)),
        linked("the plugin's second", has.patience, client.accept()),
    )
    .await
    .look_at("accept: it gives a link for each engine")?;
    for number in 1..50 {
        engine.put(numbered(number)).await?;
        second.put(numbered(1000 + number)).await?;
        engine.flush().await?;
        second.flush().await?;
        same("the first engine's message", &plugin.next().await?.id, &Some(number.into())).look_at(APART)?;
        same("the second engine's message", &its_plugin.next().await?.id, &Some((1000 + number).into()))
            .look_at(APART)?;
    }
    both(engine.disconnect(), plugin.end()).await?;
    carries(&mut second, &mut its_plugin, 5).await?;
    drop(its_plugin);
    second.end().await.map(drop)
}

/// Dials and gives up, again and again and at different times, then makes a link, which is not the worse for it.
async fn given_up(fixture: &dyn Fixture) -> Result<(Lab, End, End), Failure> {
    let mut lab = Lab::open(fixture).await?;
    for round in 0..50 {
        let Lab { url, connector, .. } = &mut lab;
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
            // Others get further meanwhile, on threads and in other processes too.
            drop(futures_util::future::select(connect, runtime::sleep(Duration::from_millis(2))).await);
        }
    }
    let Lab { has, url, client, connector, .. } = &mut lab;
    let connect = async {
        let mut engine = linked("the engine's", has.patience, connector.connect(url)).await?;
        engine.send(numbered(7)).await?;
        Ok(engine)
    };
    let made = both(connect, accept_numbered(has, &mut **client, 7)).await;
    let (mut engine, (mut plugin, others)) = made.look_at(LEFT).rule(CANCEL)?;
    for mut other in others {
        other.end().await.look_at(LEFT).rule(CANCEL)?;
    }
    carries(&mut engine, &mut plugin, 5).await?;
    Ok((lab, engine, plugin))
}

const LEFT: &str = "what a connect that is dropped leaves behind: sockets, tasks, links that nobody holds";

/// Fifty dials that are given up leave nothing that the plugin's end could take for an engine.
pub async fn a_dial_that_is_given_up_leaves_nothing(fixture: &dyn Fixture) -> Result<(), Failure> {
    given_up(fixture).await.map(drop)
}

/// Fifty dials that are given up leave nothing open.
pub async fn a_dial_that_is_given_up_leaves_nothing_open(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (lab, _engine, _plugin) = given_up(fixture).await?;
    let mut open = 0;
    for _ in 0..100 {
        open = lab.control.open();
        if open == 1 {
            return Ok(());
        }
        moment().await;
    }
    same("connections that are open", &open, &1).look_at(LEFT).rule(CANCEL)
}

/// A dial to somebody who does not answer ends, and is told as one that took too long. A transport that needs no answer
/// may give a link.
pub async fn a_dial_that_is_not_answered_is_told_as_timed_out(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    lab.control.stall();
    let Lab { has, url, connector, .. } = &mut lab;
    let tried = within(has.patience, "connect to end", connector.connect(url)).await;
    match tried.look_at("the time limit of connect").rule(DIAL_TIMED_OUT)? {
        Ok(_) | Err(LinkEnd::DialTimedOut(_)) => Ok(()),
        Err(end) => Err(Failure::new("LinkEnd::DialTimedOut", shown(&end)))
            .look_at("what connect makes of its time limit")
            .rule(DIAL_TIMED_OUT),
    }
}

/// Connections that say nothing do not keep an engine from being accepted.
pub async fn a_stranger_holds_up_nobody(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    for _ in 0..10 {
        lab.control.stranger();
    }
    moment().await;
    let Lab { has, url, client, connector, .. } = &mut lab;
    let connect = async {
        let mut engine = linked("the engine's", has.patience, connector.connect(url)).await?;
        engine.send(numbered(7)).await?;
        Ok(engine)
    };
    let made = both(connect, accept_numbered(has, &mut **client, 7)).await;
    let hint = "accept: what it awaits of one connection before it takes the next";
    let (mut engine, (mut plugin, _strangers)) = made.look_at(hint).rule(STRANGER)?;
    carries(&mut engine, &mut plugin, 5).await
}

/// As many links can follow each other as there are engines that come and go.
pub async fn link_after_link_is_accepted(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut lab = Lab::open(fixture).await?;
    for number in 1..16 {
        let made = lab.link().await.look_at("accept: what it keeps of links that have ended").rule(ACCEPT);
        let (mut engine, mut plugin) = made?;
        carries(&mut engine, &mut plugin, number).await?;
    }
    Ok(())
}

/// Twelve engines that dial at the same moment get a link each, and at each there is one end and its other.
pub async fn engines_that_dial_at_once_get_a_link_each(fixture: &dyn Fixture) -> Result<(), Failure> {
    const MANY: i64 = 12;
    const HINT: &str = "accept and connect: what belongs to one connection, and what they share";
    let mut lab = Lab::open(fixture).await?;
    let connectors: Vec<_> = (0..MANY).map(|_| lab.another_engine()).collect();
    let Lab { has, url, client, .. } = &mut lab;
    let (has, url) = (&*has, &*url);
    let dials = connectors.into_iter().zip(1..).map(|(mut connector, number)| async move {
        let mut engine = linked("one engine's", has.patience, connector.connect(url)).await?;
        engine.send(numbered(number)).await?;
        same("the answer", &engine.next().await?.id, &Some((1000 + number).into())).look_at(HINT).rule(OWN_LINKS)?;
        Ok(engine)
    });
    let dial = all(dials.collect());
    let serve = async {
        let mut plugins = vec![];
        for _ in 0..MANY {
            plugins.push(linked("the plugin's", has.patience, client.accept()).await?);
        }
        let mut numbers = vec![];
        for plugin in &mut plugins {
            let number = plugin.next().await?.id.and_then(|id| id.number()).unwrap_or_default();
            numbers.push(number);
            plugin.send(numbered(1000 + number)).await?;
        }
        numbers.sort_unstable();
        same("the engines", &numbers, &(1..=MANY).collect())?;
        Ok(plugins)
    };
    both(dial, serve).await.look_at(HINT).rule(OWN_LINKS).map(drop)
}
