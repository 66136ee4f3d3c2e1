//! A lost link ends the calls that depend on it, at every stage; the engine reconnects, and everything continues.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Harness, pause};
use crate::host::{Host, Notes, PendingCall, link_is, options};
use crate::scripted_peer::{ScriptedPluginHost, response, subscribe};
use connector_core::{CallError, Message, Payload};

const HEAL: &str = "connect and accept after a loss, and state of the old link that appears on the new one";

async fn cut(host: &Host) -> Result<(), Failure> {
    host.control.cut();
    host.link_is(false).await
}

async fn heal(host: &Host) -> Result<(), Failure> {
    host.control.heal();
    host.link_is(true).await
}

/// A call while the link is down ends at once as link lost.
pub async fn a_call_while_the_link_is_down_is_lost(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    cut(&host).await?;
    host.start("echo", (1,)).is_lost(&host.has).await
}

/// A call that runs when its link is cut ends as link lost, and the plugin's method is dropped.
pub async fn a_running_call_is_lost_at_a_cut(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let mut call = host.start("hang", ("one",));
    host.notes.wait(&host.has, 1).await?;
    host.control.cut();
    call.is_lost(&host.has).await?;
    let noted = host.notes.wait(&host.has, 2).await.hint("how the plugin's end detects a cut")?;
    same("the method", &noted[1], &json!("one dropped"))
}

/// A call whose request the plugin has not read when the link is cut ends as link lost.
pub async fn an_unread_call_is_lost_at_a_cut(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, _plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let mut calls: Vec<PendingCall> = (0..200).map(|_| host.start("echo", ("x".repeat(10_000),))).collect();
    pause().await;
    host.control.cut();
    for call in &mut calls {
        call.is_lost(&host.has).await?;
    }
    Ok(())
}

/// A call whose large result is in transit when the link is cut ends with the whole result or as link lost.
pub async fn a_call_is_answered_or_lost_at_a_cut(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let bytes = (host.has.max_message / 2).min(500_000);
    for delay in [0, 1, 3, 10] {
        let mut calls: Vec<_> = (0..4).map(|_| host.start("big", (bytes,))).collect();
        crate::runtime::sleep(Duration::from_millis(delay)).await;
        host.control.cut();
        for call in &mut calls {
            match call.outcome(&host.has).await? {
                Ok(result) => {
                    let length = result.read::<String>().map(|text| text.len()).ok();
                    same("the whole result", &length, &Some(bytes)).hint("messages that are truncated by a cut")?;
                }
                Err(CallError::LinkLost(_)) => {}
                other => return Err(Failure::new("the result, or a call that ends as link lost", shown(&other))),
            }
        }
        host.link_is(false).await?;
        heal(&host).await?;
    }
    Ok(())
}

/// A plugin's own call that is in flight when its link is cut ends as link lost.
pub async fn a_plugins_call_is_lost_at_a_cut(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut harness = Harness::open(fixture).await?;
    let (engine, plugin) = harness.link().await?;
    let made = crate::host::subject(&Notes::default());
    let (mut engine, client, _task) = crate::scripted_peer::start_plugin(engine, plugin, made).await?;
    let mut call = PendingCall::new(&client, "echo", (1,));
    engine.next().await?;
    harness.control.cut();
    call.is_lost(&harness.has).await
}

/// Once links can be made again calls succeed, without another activation.
pub async fn calls_succeed_after_a_loss(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    for round in 0..4 {
        cut(&host).await?;
        check(host.manager().is_active("probe"), || {
            Failure::new("an active plugin", "one that a loss has deactivated")
        })?;
        pause().await;
        heal(&host).await?;
        same("the result", &host.call::<i64>("echo", (round,)).await.hint(HEAL)?, &round)?;
        same("a call back", &host.call::<i64>("relay", ("local", "add", round, 1)).await.hint(HEAL)?, &(round + 1))?;
    }
    Ok(())
}

/// A response that belongs to a lost link does not complete a call on the next.
pub async fn old_responses_do_not_answer_new_calls(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let mut lost = host.start("echo", ("old",));
    let old = plugin.next().await?;
    // It may be sent before the cut, or not at all.
    plugin.queue(response(&old, Some(Payload::new("old")))).await?;
    host.control.cut();
    drop(lost.outcome(&host.has).await?);
    drop(plugin.end().await?);
    host.control.heal();
    let mut plugin = host.next_link().await.hint(HEAL)?;
    link_is(&host.has, &host.engine, true).await?;
    let mut call = host.start("echo", ("new",));
    let new = plugin.next().await.hint(HEAL)?;
    same("the request", &args(&new), &json!(["new"])).hint(HEAL)?;
    plugin.send(response(&new, Some(Payload::new("new")))).await?;
    let result = call.outcome(&host.has).await?.map_err(|error| Failure::new("the new response", error))?;
    same("the new response", &result.read::<String>().ok().as_deref(), &Some("new")).hint(HEAL)
}

fn args(message: &Message) -> Value {
    message.payload.clone().and_then(|args| args.read().ok()).unwrap_or_default()
}

/// The engine's listeners receive the plugin's events after a loss as before, each once.
pub async fn listeners_receive_each_event_once_after_a_loss(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let received = Notes::of_event("e", &host.local)?;
    for round in 0..4 {
        host.call::<bool>("fire", ("e", round)).await?;
        received.wait(&host.has, round + 1).await?;
        cut(&host).await?;
        heal(&host).await?;
    }
    host.call::<bool>("fire", ("e", 4)).await?;
    received.wait(&host.has, 5).await.hint(HEAL)?;
    pause().await;
    same("each event once", &received.all(), &(0..5).map(Value::from).collect()).hint(HEAL)
}

/// A plugin's subscriptions continue on its next link: it receives each event once, including those during the loss.
pub async fn subscriptions_survive_a_loss(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let local = host.local.clone();
    let emit = async |number: i64| local.emit("tick", (number,)).await.map_err(|error| Failure::new("an event", error));
    subscribe(&mut plugin).await?;
    emit(0).await?;
    same("the first event", &args(&plugin.next().await?), &json!([0]))?;
    host.control.cut();
    plugin.end().await?;
    drop(plugin);
    link_is(&host.has, &host.engine, false).await?;
    emit(1).await?;
    emit(2).await?;
    host.control.heal();
    let mut plugin = host.next_link().await.hint(HEAL)?;
    link_is(&host.has, &host.engine, true).await?;
    emit(3).await?;
    for number in 1..4 {
        same("the next event", &args(&plugin.next().await.hint(HEAL)?), &json!([number])).hint(HEAL)?;
    }
    pause().await;
    plugin.is_quiet().await.hint(HEAL)
}

/// A plugin's end that closes and accepts again is dialled again.
pub async fn a_link_that_the_plugin_closes_is_made_again(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    for number in 0..3 {
        if number % 2 == 0 {
            plugin.disconnect().await?;
        }
        drop(plugin);
        plugin = host.next_link().await.hint(HEAL)?;
        link_is(&host.has, &host.engine, true).await?;
        let mut call = host.start("echo", (number,));
        let request = plugin.next().await.hint(HEAL)?;
        plugin.send(response(&request, Some(Payload::new(number)))).await?;
        let result = call.outcome(&host.has).await?.map_err(|error| Failure::new("a result", error))?;
        same("the result", &result.read::<i64>().ok(), &Some(number))?;
    }
    Ok(())
}

/// A plugin can be deactivated while its link is down, and activated once links can be made again.
pub async fn a_plugin_is_deactivated_while_its_link_is_down(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    cut(&host).await?;
    super::shutdown::deactivate(&host).await?;
    host.control.heal();
    crate::host::activate(&host.has, &host.engine, "probe").await?;
    same("the result", &host.call::<i64>("echo", (1,)).await?, &1)
}

/// The engine detects a plugin that falls silent while it runs no call, whether or not the transport does so itself, and
/// reconnects.
pub async fn a_silent_plugin_is_detected(fixture: &dyn Fixture) -> Result<(), Failure> {
    let often = options().health_interval(Duration::from_millis(300));
    let host = Host::with(Harness::open(fixture).await?, often).await?;
    let notes = host.notes.clone();
    let listener = move |_: String, why: String| notes.add(why);
    host.local.on("manager", "linkDown", listener).map_err(|error| Failure::new("a listener", error))?;
    same("a call", &host.call::<i64>("echo", (1,)).await?, &1)?;
    host.control.stall();
    let why = host.notes.wait(&host.has, 1).await.hint("a link that is stalled and dropped meanwhile")?;
    check(why[0].as_str().is_some_and(|why| why.starts_with("silent")), || {
        Failure::new("a link that ended as LinkEnd::Silent", &why[0])
            .hint("what a stall ends, and how that is reported")
    })?;
    if host.has.reconnect {
        heal(&host).await.hint(HEAL)?;
        same("a call on the new link", &host.call::<i64>("echo", (2,)).await.hint(HEAL)?, &2)?;
    }
    Ok(())
}
