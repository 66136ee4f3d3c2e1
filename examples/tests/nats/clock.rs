//! Replicas and engines on machines whose clock is an hour off.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connector_core::{CallError, Engine, Event, Payload, Plugin as Local, Rest};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use transport_nats::NatsConfig;

use crate::broker::Broker;
use crate::programs::{signal, within};
use crate::support::{NATS_ENGINE, NATS_PLUGIN, Plugin, assert_same, bundled, expected, output};

/// Shifts what a program takes for the time of day, in seconds. The monotonic clock is as it is.
const SHIM: &str = "
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += SHIFT;
    return result;
}
";

fn shim(folder: &Path, shift: i64) -> PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join(format!("clock{shift}.so")));
    std::fs::write(&source, SHIM).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", &format!("-DSHIFT={shift}"), "-o"]).arg(&library).arg(source);
    assert!(compiler.status().unwrap().success());
    library
}

/// How far a program's clock is off with this shim, in seconds.
fn off(shim: &Path) -> i64 {
    let output = Command::new("date").arg("+%s").env("LD_PRELOAD", shim).output().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    String::from_utf8(output.stdout).unwrap().trim().parse::<i64>().unwrap() - i64::try_from(now).unwrap()
}

async fn everything_works_although_clocks_are_off(shift: i64) {
    let folder = tempfile::tempdir().unwrap();
    let (shim, other) = (shim(folder.path(), shift), shim(folder.path(), -shift));
    assert!((off(&shim) - shift).abs() < 60, "the shim has no effect");
    let broker = Broker::start().unwrap();
    let mut replica = Plugin::run_at(Command::new(NATS_PLUGIN).env("LD_PRELOAD", &shim), &broker.url(), "off");
    // An engine whose clock is off the other way.
    let mut away = Command::new(NATS_ENGINE);
    away.env("LD_PRELOAD", other).args(["--server", &broker.url(), "--script"]).arg(bundled());
    let lines = within(tokio::task::spawn_blocking(move || output(&mut away))).await.unwrap();
    assert_same("an engine", &lines, &expected());
    // And one whose clock is right.
    let engine = Engine::new();
    let local = engine.register(Local::new("local").method("slow", slow)).unwrap();
    let second = Duration::from_secs(1);
    let config = NatsConfig::new(broker.url()).probe_interval(second / 5).silence(second);
    engine.register(transport_nats::replicas("probe", config).unwrap()).unwrap();
    for plugin in ["local", "probe"] {
        within(engine.manager().activate(plugin)).await.unwrap();
    }
    let mut down = local.events::<Rest>("manager", "linkDown", 8).unwrap();
    let mut rung = local.events::<(i64,)>("probe", "rang", 8).unwrap();
    for number in 0..50 {
        assert_eq!(within(local.call::<i64>("probe", "add", (number, 1))).await.unwrap(), number + 1);
        assert!(within(local.call::<bool>("probe", "fire", ("rang", number))).await.unwrap());
        assert!(matches!(within(rung.recv()).await, Some(Event::Args((rang,))) if rang == number));
    }
    // Time limits, of a method and of what it calls in turn.
    let limit = Duration::from_millis(300);
    for (method, args) in [("slow", json!([600_000, "late"])), ("relay", json!(["local", "slow", 600_000, "late"]))] {
        let late = within(local.call_within::<Value>(limit, "probe", method, Payload::new(args))).await;
        assert!(matches!(late, Err(CallError::TimedOut(_))), "{method}: {late:?}");
        let in_time = within(local.call_within::<Value>(20 * second, "probe", "slow", (50, "in time"))).await;
        assert_eq!(in_time.unwrap(), "in time");
    }
    // Probes: nothing else is said for longer than the silence that ends a link.
    tokio::time::sleep(3 * second).await;
    assert!(down.next().now_or_never().is_none(), "the link was lost");
    // A graceful stop completes what runs.
    let running = tokio::spawn({
        let local = local.clone();
        async move { local.call::<Value>("probe", "slow", (500, "done")).await }
    });
    tokio::time::sleep(limit).await;
    signal("-TERM", &replica);
    assert_eq!(within(running).await.unwrap().unwrap(), "done");
    assert!(within(tokio::task::spawn_blocking(move || replica.succeeded())).await.unwrap());
    within(engine.shutdown()).await;
}

async fn slow(ms: u64, value: Value) -> Value {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    value
}

#[tokio::test]
async fn a_clock_an_hour_ahead_changes_nothing() {
    everything_works_although_clocks_are_off(3600).await;
}

#[tokio::test]
async fn a_clock_an_hour_behind_changes_nothing() {
    everything_works_although_clocks_are_off(-3600).await;
}
