//! The engine's allocations for a call, counted by this program's allocator.
//!
//! It counts by thread: the engine runs in the test's thread, the plugins in another.
#![allow(clippy::print_stderr, reason = "the figures are shown with --nocapture")]

use std::sync::mpsc;
use std::time::Duration;

use allocation_counter::AllocationInfo;
use connector_core::{CallError, ClientConfig, Context, Engine, Plugin, PluginClient, PluginOptions, serve};
use tokio::runtime::Runtime;
use transport_ws::{WsServer, WsServerConfig};

const WARM_UP: usize = 1_000;
const CALLS: usize = 10_000;
/// The time limit.
const LIMIT: Duration = Duration::from_secs(120);

/// From a plugin behind a websocket to another.
#[test]
fn a_routed_call() {
    let host = Host::new();
    let relay = async |n: usize| host.local.call::<()>("a", "relay", ("b".to_owned(), n)).await;
    let each = host.count("a routed call", relay);
    // Some collection grows once in a thousand calls, which belongs to no call.
    assert!(each < 8.01, "{each} allocations");
}

/// From a plugin in the engine's process to one behind a websocket: includes the caller's allocations.
#[test]
fn a_call_from_the_engines_process() {
    let host = Host::new();
    host.count("a call from here", async |n| relay(&host.local, "b", n).await);
}

/// An engine in this thread, with the plugins `a` and `b` behind websockets.
struct Host {
    runtime: Runtime,
    local: PluginClient,
    _engine: Engine,
}

impl Host {
    fn new() -> Host {
        let (url, runtime) = (plugins(), runtime());
        let engine = Engine::new();
        let local = engine.register(Plugin::new("local")).unwrap();
        runtime.block_on(async {
            engine.manager().activate("local").await.unwrap();
            for name in ["a", "b"] {
                let options = PluginOptions::default().queue_timeout(LIMIT);
                engine.register(transport_ws::plugin(name, &url).options(options)).unwrap();
                engine.manager().activate(name).await.unwrap();
            }
        });
        Host { runtime, local, _engine: engine }
    }

    /// The allocations for each of many calls, after a warm-up.
    fn count(&self, what: &str, calls: impl AsyncFn(usize) -> Result<(), CallError>) -> f64 {
        self.runtime.block_on(calls(WARM_UP)).unwrap();
        let counted = allocation_counter::measure(|| self.runtime.block_on(calls(CALLS)).unwrap());
        let AllocationInfo { count_total, bytes_total, .. } = counted;
        let [allocations, bytes] = [count_total, bytes_total].map(|total| total as f64 / CALLS as f64);
        eprintln!("{what}: {allocations:.2} allocations of {bytes:.0} bytes");
        allocations
    }
}

/// Serves plugins in another thread; returns their URL.
fn plugins() -> String {
    let (tell, url) = mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let server = WsServer::bind(("127.0.0.1", 0), WsServerConfig::default()).await.unwrap();
            tell.send(server.url()).unwrap();
            serve(server, plugin, ClientConfig::default()).await
        })
    });
    url.recv().unwrap()
}

fn plugin() -> Plugin {
    Plugin::new("plugin")
        .method("echo", |text: String| async move { text })
        .method("relay", |ctx: Context, target: String, n: usize| async move { relay(ctx.client(), &target, n).await })
}

/// Sends the returned text again.
async fn relay(client: &PluginClient, target: &str, n: usize) -> Result<(), CallError> {
    let mut text = "x".repeat(64);
    for _ in 0..n {
        text = client.call(target, "echo", (text,)).await?;
    }
    Ok(())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
