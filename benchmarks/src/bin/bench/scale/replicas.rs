//! A call to a plugin with a growing number of replicas.

use std::future::pending;
use std::time::Duration;

use conformance::memory;
use connector_core::{
    Choice, ClientConfig, Engine, ExternalProfile, Plugin, PluginClient, PluginOptions, Registration, Replicas, serve,
};

use super::table::{Row, Table};
use super::{BESIDE, Pace, progress, timed};
use crate::measure::Result;

const ABOUT: &str = "\
Calls from this process to a plugin behind links in memory, one at a time; all ends share one thread. The ratio is to the\n\
plugin with one link. Where each replica is busy with one call, all of them are compared for each call; by an argument, all\n\
are weighed and the arguments are parsed.";

/// A row: the number of replicas, or `None` for a plugin with one link.
struct Case {
    what: &'static str,
    replicas: Option<usize>,
    busy: bool,
    choice: Choice,
}

fn cases() -> Vec<Case> {
    let case = |what, replicas, busy, choice| Case { what, replicas, busy, choice };
    let argument = || Choice::Argument("/0".to_owned());
    vec![
        case("one link", None, false, Choice::LeastBusy),
        case("1 replica", Some(1), false, Choice::LeastBusy),
        case("10 replicas", Some(10), false, Choice::LeastBusy),
        case("100 replicas", Some(100), false, Choice::LeastBusy),
        case("1,000 replicas", Some(1_000), false, Choice::LeastBusy),
        case("10 replicas, all busy", Some(10), true, Choice::LeastBusy),
        case("100 replicas, all busy", Some(100), true, Choice::LeastBusy),
        case("1,000 replicas, all busy", Some(1_000), true, Choice::LeastBusy),
        case("1 replica, by an argument", Some(1), false, argument()),
        case("1,000 replicas, by an argument", Some(1_000), false, argument()),
    ]
}

pub(super) async fn measure(pace: Pace) -> Result<Table> {
    let mut plugins = Vec::new();
    for case in cases() {
        progress(format_args!("replicas: {}", case.what));
        plugins.push(Called::start(&case).await?);
    }
    let mut slowest = Duration::ZERO;
    for plugin in &plugins {
        plugin.call(10).await?;
        slowest = slowest.max(timed(plugin.call(100)).await? / 100);
    }
    let times = pace.times(slowest);
    let mut figures = vec![Vec::new(); plugins.len()];
    for round in 0..pace.rounds {
        progress(format_args!("replicas: round {} of {}", round + 1, pace.rounds));
        for (plugin, figures) in plugins.iter().zip(&mut figures) {
            figures.push(timed(plugin.call(times)).await?.as_nanos() as f64 / times as f64);
        }
    }
    let one = figures[0].clone();
    let rows =
        cases().into_iter().zip(figures).map(|(case, figures)| Row::new(case.what, "ns", figures).ratio_to(&one));
    Ok(Table { theme: "replicas", about: ABOUT, rows: rows.collect() })
}

struct Called {
    _engine: Engine,
    caller: PluginClient,
}

impl Called {
    async fn start(case: &Case) -> Result<Called> {
        let engine = Engine::new();
        let caller = engine.register(Plugin::new("caller"))?;
        engine.manager().activate("caller").await?;
        let options = PluginOptions::default().concurrency(usize::MAX).queue_timeout(BESIDE);
        let registration: Registration = match case.replicas {
            None => Registration::behind(ExternalProfile::new("called", "memory:"), program()),
            Some(number) => {
                let replicas = (0..number).fold(Replicas::new("called").choice(case.choice.clone()), |replicas, at| {
                    replicas.replica(at.to_string(), "memory:", program())
                });
                replicas.into()
            }
        };
        engine.register(registration.options(options))?;
        engine.manager().activate("called").await?;
        // All replicas join.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..if case.busy { case.replicas.unwrap_or_default() } else { 0 } {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call::<()>("called", "never", ()).await });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Called { _engine: engine, caller })
    }

    async fn call(&self, times: usize) -> Result<()> {
        for n in 0..times {
            if self.caller.call::<usize>("called", "answer", (n,)).await? != n {
                return Err("a call got the result of another".into());
            }
        }
        Ok(())
    }
}

/// What reaches a program that serves the plugin.
fn program() -> conformance::MemoryPlugin {
    let (connector, accepts, _) = memory();
    let plugin = || Plugin::new("called").method("answer", async |n: usize| n).method("never", pending::<()>);
    tokio::spawn(serve(accepts, plugin, ClientConfig::default()));
    connector
}
