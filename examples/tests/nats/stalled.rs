//! A replica that makes no progress while an engine floods it: what everybody holds for it is bounded, and the server cuts
//! nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use connector_core::{CallError, Context, Engine, Plugin as Local, PluginClient, PluginOptions, QueueLimits};
use futures_util::future::join_all;
use serde_json::{Value, json};
use transport_nats::NatsConfig;

use crate::broker::Broker;
use crate::programs::{LIMIT, freeze, signal, until_it_answers, within};
use crate::support::Plugin;

const MIB: u64 = 1 << 20;
/// The length of each message.
const LENGTH: usize = 32 << 10;
/// Memory for an end's budget (64 MiB) and window, and as much again for what an allocator keeps.
const MAX_GROWTH: u64 = 128 * MIB;
/// The server holds a window of 1 MiB for the replica, besides what the system holds.
const MAX_GROWTH_OF_SERVER: u64 = 48 * MIB;
/// Longer than the server waits for a client that does not read (its `write_deadline`).
const STOPPED: Duration = Duration::from_secs(12);

/// The resident memory of a process.
fn memory(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

fn memory_of(broker: &Broker) -> u64 {
    broker.variables().unwrap()["mem"].as_u64().unwrap()
}

/// A link that outlives everything in these tests, over which as many calls run as the engine's budget has room for.
async fn engine(config: NatsConfig) -> (Engine, PluginClient) {
    let engine = Engine::new();
    let local = engine.register(Local::new("local")).unwrap();
    let options = PluginOptions::default().concurrency(256).queue_timeout(2 * LIMIT);
    let options = options.queue(QueueLimits::default().stall_timeout(2 * LIMIT));
    let plugin = transport_nats::plugin("probe", config.silence(3 * LIMIT));
    engine.register(plugin.options(options)).unwrap();
    for plugin in ["local", "probe"] {
        within(engine.manager().activate(plugin)).await.unwrap();
    }
    (engine, local)
}

/// Emits numbered events, for at least this long, and twice as much as anybody may hold. Returns the largest amount of memory that was
/// used beyond `before`, by this process and by the server.
async fn flood(local: &PluginClient, broker: &Broker, duration: Duration, before: (u64, u64)) -> (u64, u64) {
    let (begin, mut number, mut most) = (Instant::now(), 0_u64, (0, 0));
    let text = "x".repeat(LENGTH);
    while begin.elapsed() < duration || number * (LENGTH as u64) < 2 * MAX_GROWTH {
        for _ in 0..100 {
            within(local.emit("tick", (number, text.clone()))).await.unwrap();
            number += 1;
        }
        most.0 = most.0.max(memory("self").saturating_sub(before.0));
        most.1 = most.1.max(memory_of(broker).saturating_sub(before.1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    most
}

/// Calls that are answered once the replica makes progress.
fn start_calls(local: &PluginClient, count: u64) -> Vec<tokio::task::JoinHandle<Result<Value, CallError>>> {
    let text = Arc::<str>::from("y".repeat(LENGTH));
    let call = |number| {
        let (local, text) = (local.clone(), Arc::clone(&text));
        tokio::spawn(async move { local.call::<Value>("probe", "fire", ("rang", number, text.to_string())).await })
    };
    (0..count).map(call).collect()
}

/// How often each number has rung.
fn count_rings(local: &PluginClient) -> Arc<Mutex<HashMap<u64, usize>>> {
    let rings = Arc::<Mutex<HashMap<u64, usize>>>::default();
    let counted = Arc::clone(&rings);
    local.on("probe", "rang", move |number: u64| *counted.lock().unwrap().entry(number).or_default() += 1).unwrap();
    rings
}

async fn all_answered_once(
    calls: Vec<tokio::task::JoinHandle<Result<Value, CallError>>>,
    rings: &Mutex<HashMap<u64, usize>>,
) {
    let count = calls.len();
    for answer in within(join_all(calls)).await {
        assert_eq!(answer.unwrap().unwrap(), json!(true));
    }
    within(async {
        while rings.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let rings = rings.lock().unwrap();
    assert!(rings.len() == count && rings.values().all(|times| *times == 1), "{rings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_replica_costs_bounded_memory_and_answers_each_call_once() {
    let broker = Broker::start().unwrap();
    let replica = Plugin::start_at(&broker.url(), "one");
    let (engine, local) = engine(NatsConfig::new(broker.url())).await;
    let rings = count_rings(&local);
    assert!(within(local.call::<bool>("probe", "watch", ("local", "tick"))).await.unwrap());
    let pid = replica.pid().to_string();
    let (before, of_replica) = ((memory("self"), memory_of(&broker)), memory(&pid));
    freeze(&replica);
    let calls = start_calls(&local, 300);
    let (here, server) = flood(&local, &broker, STOPPED, before).await;
    assert!(here < MAX_GROWTH, "this process has grown by {} MiB", here / MIB);
    assert!(server < MAX_GROWTH_OF_SERVER, "the server has grown by {} MiB", server / MIB);
    assert_eq!(broker.slow_consumers().unwrap(), (0, 0));
    signal("-CONT", &replica);
    all_answered_once(calls, &rings).await;
    let growth = memory(&pid).saturating_sub(of_replica);
    assert!(growth < MAX_GROWTH, "the replica has grown by {} MiB", growth / MIB);
    assert_eq!(broker.slow_consumers().unwrap(), (0, 0));
    within(engine.shutdown()).await;
}

/// More is pending for it, from many engines, than the system holds: the server waits for it only as long as its
/// `write_deadline`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_replica_that_the_server_cuts_comes_back_to_every_engine() {
    let broker = Broker::start().unwrap();
    let replica = Plugin::start_at(&broker.url(), "one");
    let mut engines = Vec::new();
    for _ in 0..16 {
        engines.push(engine(NatsConfig::new(broker.url())).await);
    }
    freeze(&replica);
    let calls: Vec<_> = engines.iter().flat_map(|(_, local)| start_calls(local, 64)).collect();
    within(async {
        while broker.slow_consumers().unwrap().0 == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    for call in within(join_all(calls)).await {
        let lost = call.unwrap().unwrap_err();
        assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
    }
    signal("-CONT", &replica);
    for (engine, local) in engines {
        until_it_answers(&local).await;
        for number in 0..20 {
            assert_eq!(within(local.call::<i64>("probe", "add", (number, 1))).await.unwrap(), number + 1);
        }
        within(engine.shutdown()).await;
    }
}

/// As a program does that waits for something in a method: the thread of the link's task makes no progress, while the one of
/// the connection to the server does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_method_blocks_its_link_costs_bounded_memory_and_loses_nothing() {
    let broker = Broker::start().unwrap();
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let ticks = Arc::<Mutex<Vec<u64>>>::default();
    let recorded = Arc::clone(&ticks);
    let listen = move |ctx: Context| {
        let recorded = Arc::clone(&recorded);
        let listener = move |number: u64, _: String| recorded.lock().unwrap().push(number);
        async move { ctx.client().on("local", "tick", listener).map(|()| true) }
    };
    let fire =
        |ctx: Context, key: String, number: u64| async move { ctx.client().emit(&key, (number,)).await.map(|()| true) };
    let block = move || {
        let _ = blocked.lock().unwrap().recv();
        async { true }
    };
    let plugin = Local::new("probe").method("listen", listen).method("fire", fire).method("block", block);
    let replica = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = NatsConfig::new(broker.url());
    let served = within(replica.spawn(transport_nats::serve(move || plugin.clone(), config))).await;
    replica.spawn(served.unwrap().unwrap());
    let (engine, local) = engine(NatsConfig::new(broker.url())).await;
    let rings = count_rings(&local);
    assert!(within(local.call::<bool>("probe", "listen", ())).await.unwrap());
    let before = (memory("self"), memory_of(&broker));
    let block = tokio::spawn({
        let local = local.clone();
        async move { local.call::<bool>("probe", "block", ()).await }
    });
    let calls = start_calls(&local, 300);
    let (here, server) = flood(&local, &broker, Duration::ZERO, before).await;
    assert!(here < MAX_GROWTH, "this process has grown by {} MiB", here / MIB);
    assert!(server < MAX_GROWTH_OF_SERVER, "the server has grown by {} MiB", server / MIB);
    unblock.send(()).unwrap();
    assert!(within(block).await.unwrap().unwrap());
    all_answered_once(calls, &rings).await;
    // The oldest of the waiting ones were dropped; the others arrived in order, each once.
    let ticks = ticks.lock().unwrap().clone();
    assert!(ticks.len() > 30 && ticks.is_sorted_by(|one, next| one < next), "{ticks:?}");
    assert_eq!(broker.slow_consumers().unwrap(), (0, 0));
    within(engine.shutdown()).await;
    replica.shutdown_background();
}
