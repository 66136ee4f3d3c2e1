//! The router, the call queues, and calls over a link: an engine and all its plugins on one thread.

use std::hint::black_box;
use std::mem;

use connector_core::{ClientConfig, Engine, ExternalProfile, Plugin, PluginClient, PluginOptions, Registration, serve};
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![
        call("router/call"),
        call_with_text("router/call with 64 KiB", 64 << 10),
        emit("router/emit to 1", 1),
        emit("router/emit to 100", 100),
        calls("queue/64 calls one by one", 1),
        calls("queue/64 calls at once", 64),
        over_link("link/call", 1),
        over_link("link/64 calls at once", 64),
    ]
}

fn call(name: &'static str) -> Case {
    Case::new(name, || {
        let host = Host::new();
        host.add(Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b }));
        move || {
            let args = black_box((20_i64, 22_i64)); // the method's own types, so that they move and are not serialized
            black_box(host.run(|local| local.call::<i64>("calculator", "add", args)).unwrap());
        }
    })
}

/// Within the process a text is moved both ways, so a copy would show.
fn call_with_text(name: &'static str, length: usize) -> Case {
    Case::new(name, move || {
        let host = Host::new();
        host.add(Plugin::new("post").method("echo", |text: String| async move { text }));
        let mut text = "x".repeat(length);
        move || text = host.run(|local| local.call("post", "echo", (mem::take(&mut text),))).unwrap()
    })
}

fn emit(name: &'static str, listeners: usize) -> Case {
    Case::new(name, move || {
        let host = Host::new();
        let count_event = |count: i64| {
            black_box(count);
        };
        for listener in 0..listeners {
            let listener = host.add(Plugin::new(format!("listener{listener}")));
            listener.on("local", "ticked", count_event).unwrap();
        }
        move || host.run(|local| local.emit("ticked", black_box((7_i64,)))).unwrap()
    })
}

/// Concurrent calls: each yields once while it runs, so the others find the plugin busy.
fn calls(name: &'static str, concurrency: usize) -> Case {
    Case::new(name, move || {
        let host = Host::new();
        let plugin = Plugin::new("worker").method("work", tokio::task::yield_now);
        host.add(plugin.options(PluginOptions::default().concurrency(concurrency)));
        move || {
            let outcomes = host.run(|local| join_all((0..64).map(|_| local.call::<()>("worker", "work", ()))));
            outcomes.into_iter().for_each(Result::unwrap);
        }
    })
}

/// Concurrent calls over an in-memory link, with the work of both ends.
fn over_link(name: &'static str, calls: usize) -> Case {
    Case::new(name, move || {
        let host = Host::new();
        let (connector, accepts, _) = conformance::memory();
        let calculator = || Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b });
        host.runtime.spawn(serve(accepts, calculator, ClientConfig::default()));
        host.add(Registration::behind(ExternalProfile::new("calculator", "memory:"), connector));
        move || {
            let add = |local, n| PluginClient::call::<i64>(local, "calculator", "add", (n, 22_i64));
            let outcomes = host.run(|local| join_all((0..calls as i64).map(|n| add(local, black_box(n)))));
            black_box(outcomes.into_iter().map(Result::unwrap).sum::<i64>());
        }
    })
}

/// An engine with the plugin `local`, which calls and emits.
struct Host {
    runtime: Runtime,
    engine: Engine,
    local: PluginClient,
}

impl Host {
    fn new() -> Host {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let engine = Engine::new();
        let local = activated(&runtime, &engine, Plugin::new("local"));
        Host { runtime, engine, local }
    }

    fn add(&self, plugin: impl Into<Registration>) -> PluginClient {
        activated(&self.runtime, &self.engine, plugin)
    }

    fn run<'a, F: Future>(&'a self, work: impl FnOnce(&'a PluginClient) -> F) -> F::Output {
        self.runtime.block_on(work(&self.local))
    }
}

fn activated(runtime: &Runtime, engine: &Engine, plugin: impl Into<Registration>) -> PluginClient {
    let plugin = engine.register(plugin).unwrap();
    runtime.block_on(engine.manager().activate(&plugin.name())).unwrap();
    plugin
}
