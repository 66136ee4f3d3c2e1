//! Deactivation and shutdown close links, and the other end continues or ends.

use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Harness, within};
use crate::host::{Host, activate};
use crate::scripted_peer::ScriptedPluginHost;
use connector_core::{CallError, LinkEnd};

const CLOSE: &str = "poll_disconnect: it is bounded, and the other end detects it";

pub(super) async fn deactivate(host: &Host) -> Result<(), Failure> {
    let done = within(host.has.timeout, "the plugin to be deactivated", host.manager().deactivate("probe")).await;
    done.hint(CLOSE)?.map_err(|error| Failure::new("the plugin to be deactivated", error))
}

/// Deactivating a plugin ends the calls in flight and drops its methods.
pub async fn deactivating_ends_calls_under_way(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let mut calls = [host.start("hang", ("one",)), host.start("hang", ("two",))];
    host.notes.wait(&host.has, 2).await?;
    deactivate(&host).await?;
    for call in &mut calls {
        let outcome = call.outcome(&host.has).await?;
        let ended = matches!(outcome, Err(CallError::LinkLost(_) | CallError::Cancelled(_) | CallError::Refused(_)));
        check(ended, || Failure::new("a call that ends with its plugin", shown(&outcome)))?;
    }
    host.notes.wait(&host.has, 4).await.hint(CLOSE).map(drop)
}

/// A plugin that was deactivated can be activated again over a new link.
pub async fn a_plugin_is_activated_again(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    for number in 0..3 {
        deactivate(&host).await?;
        activate(&host.has, &host.engine, "probe").await?;
        same("the result", &host.call::<i64>("echo", (number,)).await?, &number)?;
    }
    Ok(())
}

/// The plugin's end of the link is closed when the engine shuts down.
pub async fn a_shutdown_ends_the_plugins_link(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let shutdown = async { within(host.has.timeout, "the engine to shut down", host.engine.shutdown()).await };
    let (_, end) = crate::harness::both(shutdown, plugin.end()).await.hint(CLOSE)?;
    let closed = !reports_close(fixture) || matches!(end, LinkEnd::Closed { .. });
    check(closed, || Failure::new("LinkEnd::Closed after a shutdown", shown(&end))).hint(CLOSE)
}

fn reports_close(fixture: &dyn Fixture) -> bool {
    fixture.capabilities().distinguishes_loss
}

/// Dropping an engine closes its links at once.
pub async fn a_dropped_engine_ends_the_plugins_link(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let ScriptedPluginHost { engine, local, .. } = host;
    drop((engine, local));
    plugin.end().await.hint("what happens when a link is dropped").map(drop)
}

/// A shutdown drops the methods that run at the plugin.
pub async fn a_shutdown_ends_the_plugins_methods(fixture: &dyn Fixture) -> Result<(), Failure> {
    let mut host = Host::new(Harness::open(fixture).await?).await?;
    let _call = host.start("hang", ("one",));
    host.notes.wait(&host.has, 1).await?;
    within(host.has.timeout, "the engine to shut down", host.engine.shutdown()).await.hint(CLOSE)?;
    host.notes.wait(&host.has, 2).await.hint(CLOSE)?;
    if !host.has.reconnect
        && let Some(served) = host.served.take()
    {
        let ended = within(host.has.timeout, "the plugin's serve loop to end", served).await;
        ended.hint("accept: a transport with one link reports that there will be no more")?.ok();
    }
    Ok(())
}

/// A shutdown is bounded even if a plugin does not respond.
pub async fn a_shutdown_is_bounded(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, _plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let _calls: Vec<_> = (0..50).map(|_| host.start("echo", ("x".repeat(50_000),))).collect();
    crate::harness::pause().await;
    within(host.has.timeout, "the engine to shut down", host.engine.shutdown()).await.hint(CLOSE)
}
