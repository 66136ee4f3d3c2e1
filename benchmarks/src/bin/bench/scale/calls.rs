//! A call in this process, with a growing number of active plugins.

use std::collections::HashMap;
use std::time::Duration;

use connector_core::{Engine, Plugin, PluginClient};
use fastrand::Rng;

use super::table::{Row, Table, Target};
use super::{Pace, progress, timed};
use crate::measure::Result;

const ABOUT: &str = "\
Calls from one plugin to others in this process, one at a time, in random order. The ratio is to the first row;\n\
for functions, to the first of those. Each row reads its targets' names from a list of 10,000, in order, so that\n\
the list costs each row the same. A call of one plugin of 10,000 is faster than calls of all of them, because the\n\
memory of all no longer fits into the processor's caches. A map from such names to boxed functions is the minimal\n\
lookup.";

const ACTIVE: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const MOST: usize = ACTIVE[ACTIVE.len() - 1];

pub(super) async fn measure(pace: Pace) -> Result<Table> {
    let mut rng = Rng::with_seed(7);
    let mut crowds = Vec::new();
    for active in ACTIVE {
        progress(format_args!("calls: activating {active} plugins"));
        let (engine, caller) = engine(active).await?;
        let called = Called::Plugins(engine, caller);
        crowds.push(Crowd { what: format!("{active} active"), called, visits: visits(active, &mut rng) });
    }
    if let Some(Crowd { called: Called::Plugins(engine, caller), .. }) = crowds.last() {
        let called = Called::Plugins(engine.clone(), caller.clone());
        crowds.push(Crowd { what: format!("{MOST} active, one called"), called, visits: visits(1, &mut rng) });
    }
    for size in [1, MOST] {
        let called = Called::Functions(functions(size));
        crowds.push(Crowd { what: format!("functions in a map: {size}"), called, visits: visits(size, &mut rng) });
    }

    let mut slowest = Duration::ZERO;
    for crowd in &crowds {
        crowd.visit(2).await?;
        slowest = slowest.max(timed(crowd.visit(1)).await?);
    }
    let times = pace.times(slowest);
    let mut figures = vec![Vec::new(); crowds.len()];
    for round in 0..pace.rounds {
        progress(format_args!("calls: round {} of {}", round + 1, pace.rounds));
        for (crowd, figures) in crowds.iter().zip(&mut figures) {
            figures.push(timed(crowd.visit(times)).await?.as_nanos() as f64 / (times * MOST) as f64);
        }
    }
    let (one, one_function) = (figures[0].clone(), figures[ACTIVE.len() + 1].clone());
    let rows = crowds.iter().zip(figures).enumerate().map(|(place, (crowd, figures))| {
        let row = Row::new(&crowd.what, "ns", figures);
        match crowd.called {
            Called::Plugins(..) if place + 1 == ACTIVE.len() => row.ratio_to(&one).target(Target::Ratio(1.3)),
            Called::Plugins(..) => row.ratio_to(&one),
            Called::Functions(_) => row.ratio_to(&one_function),
        }
    });
    Ok(Table { theme: "calls", about: ABOUT, rows: rows.collect() })
}

/// The plugins to call, in order.
struct Crowd {
    what: String,
    called: Called,
    visits: Vec<String>,
}

enum Called {
    /// Plugins, called by one of them.
    Plugins(Engine, PluginClient),
    Functions(Functions),
}

type Functions = HashMap<String, Box<dyn Fn(usize) -> usize>>;

impl Crowd {
    /// Calls the whole list `times` times.
    async fn visit(&self, times: usize) -> Result<()> {
        for _ in 0..times {
            for (n, name) in self.visits.iter().enumerate() {
                let answer = match &self.called {
                    Called::Plugins(_, caller) => Some(caller.call(name, "answer", (n,)).await?),
                    Called::Functions(functions) => functions.get(name).map(|function| function(n)),
                };
                if answer != Some(n) {
                    return Err("a call got the result of another".into());
                }
            }
            // Such calls never wait, so this is where the time limit can apply.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// A list in random order with each of `size` names equally often.
fn visits(size: usize, rng: &mut Rng) -> Vec<String> {
    let mut visits: Vec<_> = (0..MOST).map(|visit| visit % size).collect();
    rng.shuffle(&mut visits);
    // Created in the order in which they are read, so that they are in memory in that order.
    visits.into_iter().map(name).collect()
}

fn name(number: usize) -> String {
    format!("plugin{number}")
}

async fn engine(active: usize) -> Result<(Engine, PluginClient)> {
    let engine = Engine::new();
    let caller = engine.register(Plugin::new("caller"))?;
    engine.manager().activate("caller").await?;
    for number in 0..active {
        engine.register(Plugin::new(name(number)).method("answer", |n: usize| async move { n }))?;
        engine.manager().activate(&name(number)).await?;
    }
    Ok((engine, caller))
}

fn functions(size: usize) -> Functions {
    let nothing = std::hint::black_box(0);
    let function = |_| -> Box<dyn Fn(usize) -> usize> { Box::new(move |n| n + nothing) };
    (0..size).map(|number| (name(number), function(number))).collect()
}
