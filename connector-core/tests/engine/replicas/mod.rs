//! A plugin with replicas.

mod calls;
mod drain;
mod events;
mod places;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{MemoryPlugin, Switch, memory};
use connector_core::{
    CallError, ClientConfig, ConnectError, Context, Link, Plugin, PluginConnector, PluginOptions, Registration,
    Replicas, async_trait, serve,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Host, settle};

/// A program that serves a replica.
struct Program {
    switch: Switch,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Program {
    /// A program, and what reaches it.
    fn start(plugin: impl Fn() -> Plugin + Send + 'static) -> (Program, MemoryPlugin) {
        let (connector, accepts, switch) = memory();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            serve(accepts, plugin, ClientConfig::default()).until(stopped).await;
        });
        (Program { switch, stop: Some(stop), task }, connector)
    }

    /// Stops it gracefully.
    async fn stop(&mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
    }

    /// It dies.
    fn die(&self) {
        self.switch.refuse_connections(true);
        self.switch.cut();
    }

    /// It is there again.
    fn revive(&self) {
        self.switch.refuse_connections(false);
    }
}

/// The plugin `p` as the replica of this name: `who` returns the name at once, `work` after some milliseconds.
fn named(name: &'static str) -> Plugin {
    Plugin::new("p")
        .method("who", move || async move { name })
        .method("work", move |ms: u64| async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            name
        })
        .method("say", |ctx: Context, event: String| async move { ctx.client().emit(&event, (7,)).await })
        .method("relay", |ctx: Context, to: String, method: String, ms: u64| async move {
            ctx.client().call::<String>(&to, &method, (ms,)).await
        })
}

/// A host with the plugin `p`, which has these replicas and is active.
async fn with_replicas(names: &[&'static str], options: PluginOptions) -> (Host, Vec<Program>) {
    with(names, |replicas| replicas.options(options)).await
}

async fn with<R: Into<Registration>>(
    names: &[&'static str],
    complete: impl FnOnce(Replicas) -> R,
) -> (Host, Vec<Program>) {
    let host = Host::new().await;
    let (mut programs, mut replicas) = (Vec::new(), Replicas::new("p"));
    for &name in names {
        let (program, connector) = Program::start(move || named(name));
        replicas = replicas.replica(name, "memory:", connector);
        programs.push(program);
    }
    host.engine.register(complete(replicas)).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    (host, programs)
}

/// Which replicas ran these calls, and how often.
async fn shares(calls: Vec<JoinHandle<Result<String, CallError>>>) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for call in calls {
        *shares.entry(call.await.unwrap().unwrap()).or_default() += 1;
    }
    shares
}

async fn who(host: &Host) -> String {
    host.local.call("p", "who", ()).await.unwrap()
}

fn options() -> PluginOptions {
    PluginOptions::default().concurrency(16)
}

/// A place where programs run, one after another.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Option<MemoryPlugin>>>);

impl Place {
    fn leads_to(&self, program: Option<MemoryPlugin>) {
        *self.0.lock().unwrap() = program;
    }
}

#[async_trait]
impl PluginConnector for Place {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let program = self.0.lock().unwrap().clone();
        let nobody = || ConnectError::Refused("nobody is there".to_owned());
        program.ok_or_else(nobody)?.connect(url).await
    }
}
