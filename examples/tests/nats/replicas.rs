//! An engine with a link to each of three replicas, which are programs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_core::{
    CallError, Engine, Observation, Observing, Plugin as Local, PluginClient, PluginOptions, Replicas,
};
use futures_util::future::join_all;
use serde_json::Value;
use transport_nats::{NatsConfig, replicas};

use crate::broker::Broker;
use crate::programs::{signal, within};
use crate::support::Plugin;

pub(crate) const NAMES: [&str; 3] = ["one", "two", "three"];

/// How many calls each replica has begun to run, and which was the last.
#[derive(Default)]
struct Runs {
    counts: HashMap<String, usize>,
    last: String,
}

pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) local: PluginClient,
    runs: Arc<Mutex<Runs>>,
    _observing: Observing,
}

impl Host {
    pub(crate) async fn start(plugin: Replicas) -> Host {
        let engine = Engine::new();
        let local = engine.register(Local::new("local")).unwrap();
        engine.register(plugin.options(PluginOptions::default().concurrency(8))).unwrap();
        let runs: Arc<Mutex<Runs>> = Arc::default();
        let told = Arc::clone(&runs);
        let observing = engine.observe(move |observation: &Observation<'_>| {
            if let Observation::CallStarted { replica: Some(replica), .. } = observation {
                let mut runs = told.lock().unwrap();
                *runs.counts.entry((*replica).to_owned()).or_default() += 1;
                runs.last = (*replica).to_owned();
            }
        });
        for plugin in ["local", "probe"] {
            within(engine.manager().activate(plugin)).await.unwrap();
        }
        Host { engine, local, runs, _observing: observing }
    }

    /// Waits until each of the replicas has run a call.
    pub(crate) async fn until_all_run(&self, names: &[&str]) {
        within(async {
            loop {
                self.runs.lock().unwrap().counts.clear();
                join_all((0..30).map(|n| self.local.call::<i64>("probe", "add", (n, 1)))).await;
                if names.iter().all(|name| self.runs.lock().unwrap().counts.contains_key(*name)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// A call that runs for this long, and the replica that runs it.
    async fn slow(&self, ms: u64) -> (tokio::task::JoinHandle<Result<Value, CallError>>, String) {
        self.runs.lock().unwrap().last.clear();
        let local = self.local.clone();
        let call = tokio::spawn(async move { local.call::<Value>("probe", "slow", (ms, "done")).await });
        let runs = || self.runs.lock().unwrap().last.clone();
        within(async {
            while runs().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        (call, runs())
    }
}

pub(crate) fn start(url: &str) -> Vec<Plugin> {
    NAMES.iter().map(|name| Plugin::start_at(url, name)).collect()
}

pub(crate) fn probe(url: &str) -> Replicas {
    replicas("probe", NatsConfig::new(url)).unwrap()
}

#[tokio::test]
async fn three_replicas_share_the_calls() {
    let broker = Broker::start().unwrap();
    let _programs = start(&broker.url());
    let host = Host::start(probe(&broker.url())).await;
    host.until_all_run(&NAMES).await;
    host.runs.lock().unwrap().counts.clear();
    for _ in 0..100 {
        for answer in within(join_all((0..30).map(|n| host.local.call::<i64>("probe", "add", (n, 1))))).await {
            answer.unwrap();
        }
    }
    let counts = host.runs.lock().unwrap().counts.clone();
    assert_eq!(counts.values().sum::<usize>(), 3000);
    assert!(counts.values().all(|count| (750..=1260).contains(count)), "{counts:?}");
    within(host.engine.shutdown()).await;
}

#[tokio::test]
async fn a_killed_replica_costs_only_the_calls_that_it_runs() {
    let broker = Broker::start().unwrap();
    let programs = start(&broker.url());
    let host = Host::start(probe(&broker.url())).await;
    host.until_all_run(&NAMES).await;
    let mut down = host.local.events::<connector_core::Rest>("manager", "linkDown", 8).unwrap();
    let mut calls = Vec::new();
    for _ in NAMES {
        calls.push(host.slow(3_000).await);
    }
    let (first, victim) = calls.remove(0);
    let index = NAMES.iter().position(|name| *name == victim).unwrap();
    signal("-KILL", &programs[index]);
    let lost = within(first).await.unwrap().unwrap_err();
    assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
    assert_eq!(within(host.local.call::<i64>("probe", "add", (1, 2))).await.unwrap(), 3);
    for (call, replica) in calls {
        assert_ne!(replica, victim);
        assert_eq!(within(call).await.unwrap().unwrap(), "done");
    }
    assert!(within(down.recv()).await.is_some());
    assert!(tokio::time::timeout(Duration::from_millis(50), down.recv()).await.is_err(), "lost more than once");
    within(host.engine.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_costs_no_call() {
    let broker = Broker::start().unwrap();
    restart_one_after_the_other(&broker.url()).await;
}

/// Restarts three replicas while they run calls, none of which fails.
pub(crate) async fn restart_one_after_the_other(url: &str) {
    let mut programs = start(url);
    let host = Host::start(probe(url)).await;
    host.until_all_run(&NAMES).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers: Vec<_> = (0..24)
        .map(|_| {
            let (local, stopped) = (host.local.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                while !*stopped.borrow() {
                    let answer = within(local.call::<Value>("probe", "slow", (2, answered))).await;
                    assert_eq!(answer.expect("a call has failed"), answered);
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for index in 0..NAMES.len() {
        signal("-TERM", &programs[index]);
        let mut old = programs.remove(index);
        assert!(within(tokio::task::spawn_blocking(move || old.succeeded())).await.unwrap());
        programs.insert(index, Plugin::start_at(url, NAMES[index]));
        host.runs.lock().unwrap().counts.clear();
        let runs = || host.runs.lock().unwrap().counts.get(NAMES[index]).copied().unwrap_or(0);
        within(async {
            while runs() < 100 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    stop.send(true).unwrap();
    let answered: i32 = join_all(callers).await.into_iter().map(Result::unwrap).sum();
    assert!(answered > 300);
    within(host.engine.shutdown()).await;
}
