//! The benchmark: a plugin in this process calls, or listens to, a plugin in another process, thread or task, through the
//! engine and a transport. Prints one line of JSON, the median of the rounds.
//!
//! `scale` measures how costs grow, and prints tables.
//!
//! Only ratios of figures from one machine and run are meaningful.

mod ipc;
mod measure;
#[cfg(feature = "nats")]
mod nats;
mod observe;
mod scale;
#[cfg(feature = "socketio")]
mod socketio;
mod worker;
mod ws;

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use connector_core::{Engine, Plugin, PluginClient, PluginOptions};
use examples::Done;
use transport_ipc::{Channel, ChannelKind};
use transport_worker::Placement;

use crate::observe::Observe;

/// Measures calls and events through the engine, typed at both ends.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Over a websocket.
    Ws(Workload),
    /// Over a NATS server on this machine, which the plugin's process starts.
    #[cfg(feature = "nats")]
    Nats(Workload),
    /// The floor of `nats`: the client library alone, which echoes and publishes texts without a plugin or an engine.
    #[cfg(feature = "nats")]
    NatsFloor(Workload),
    /// Over socket.io.
    #[cfg(feature = "socketio")]
    Socketio(Workload),
    /// To a child process, over its standard input and output.
    Stdio(Workload),
    /// To a child process, over Node's IPC channel.
    Node(Workload),
    /// To a child process, over a local socket.
    Local(Workload),
    /// To a thread.
    Worker(Workload),
    /// To a task on the same runtime.
    WorkerSame(Workload),
    /// Within the engine's process, without a link.
    InProcess(Workload),
    /// How costs grow with plugins, listeners, links, calls in flight and replicas, and over two hops.
    Scale(scale::Args),
}

#[derive(clap::Args, Clone)]
struct Workload {
    /// The plugin's process; the benchmark starts it.
    #[command(subcommand)]
    role: Option<Role>,
    /// Calls one after another, many calls in flight, or events pushed one way.
    #[arg(long, value_enum, default_value_t = Mode::Rtt)]
    mode: Mode,
    /// Bytes of text that each call or event carries; checked on arrival.
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Calls in flight: 64 by default when pipelined, and always 1 for rtt.
    #[arg(long)]
    concurrency: Option<usize>,
    /// Operations in a round, after a few to warm up; by default as many as fit into `--ms`.
    #[arg(long)]
    n: Option<usize>,
    /// How long a round should take, in milliseconds.
    #[arg(long, default_value_t = 400)]
    ms: u64,
    /// Rounds to measure.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What observes the engine.
    #[arg(long, value_enum, default_value_t = Observe::Off)]
    observe: Observe,
    /// The runtime at both ends: one thread, or one for each processor.
    #[arg(long, value_enum, default_value_t = Threads::Current)]
    rt: Threads,
}

#[derive(Subcommand, Clone)]
enum Role {
    /// Serves the plugin, prints its URL, and ends with its standard input.
    Serve,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Rtt,
    Pipelined,
    Events,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Threads {
    Current,
    Multi,
}

impl Workload {
    fn in_flight(&self) -> usize {
        match self.mode {
            Mode::Rtt => 1,
            Mode::Pipelined => self.concurrency.unwrap_or(64).max(1),
            Mode::Events => self.concurrency.unwrap_or(1).max(1),
        }
    }
}

fn main() -> ExitCode {
    match Args::parse().what {
        What::Ws(workload) => run(workload, |()| ws::serve(), ws::measure, || ()),
        #[cfg(feature = "nats")]
        What::Nats(workload) => run(workload, |()| nats::serve(), nats::measure, || ()),
        #[cfg(feature = "nats")]
        What::NatsFloor(workload) => run(workload, |()| nats::floor::serve(), nats::floor::measure, || ()),
        #[cfg(feature = "socketio")]
        What::Socketio(workload) => run(workload, |()| socketio::serve(), socketio::measure, || ()),
        What::Stdio(workload) => child("stdio", workload, ChannelKind::Stdio),
        What::Node(workload) => child("node", workload, ChannelKind::Node),
        What::Local(workload) => child("local", workload, ChannelKind::Local),
        What::Worker(workload) => worker("worker", workload, Placement::Thread),
        What::WorkerSame(workload) => worker("worker-same", workload, Placement::Task),
        What::InProcess(workload) => run(workload, no_process, worker::measure_in_process, || ()),
        What::Scale(args) => examples::run_on(false, scale::run(args)),
    }
}

fn child(name: &'static str, workload: Workload, kind: ChannelKind) -> ExitCode {
    run(workload, ipc::serve, move |workload| ipc::measure(name, kind, workload), Channel::find)
}

fn worker(name: &'static str, workload: Workload, placement: Placement) -> ExitCode {
    run(workload, no_process, move |workload| worker::measure(name, placement, workload), || ())
}

async fn no_process((): ()) -> Done {
    Err("this plugin does not run in a separate process".into())
}

/// Serves or measures. In the plugin's process, `before` runs before the runtime starts.
fn run<B, S, M>(
    workload: Workload,
    serve: impl FnOnce(B) -> S,
    measure: impl FnOnce(Workload) -> M,
    before: impl FnOnce() -> B,
) -> ExitCode
where
    S: Future<Output = Done>,
    M: Future<Output = Done>,
{
    let many_threads = workload.rt == Threads::Multi;
    match workload.role {
        Some(Role::Serve) => {
            let before = before();
            examples::run_on(many_threads, async { serve(before).await })
        }
        None => examples::run_on(many_threads, async { measure(workload).await }),
    }
}

/// The called plugin: `echo` returns its text, `fire` emits it `n` times, and the methods that [`scale`] needs.
fn plugin() -> Plugin {
    scale::methods(Plugin::new("plugin"))
        .method("echo", |text: String| async move { text })
        .method("pid", || async { std::process::id() })
        .method("fire", |ctx: connector_core::Context, n: usize, text: String| async move {
            for _ in 0..n {
                ctx.client().emit("tick", (text.clone(),)).await?;
            }
            Ok::<_, connector_core::CallError>(true)
        })
}

/// Calls of this plugin may run concurrently; a long `fire` must not time out.
fn options(workload: &Workload) -> PluginOptions {
    PluginOptions::default().concurrency(workload.in_flight()).queue_timeout(std::time::Duration::from_secs(120))
}

/// An engine with a plugin `local` that calls, `plugin` active, and what observes it.
async fn engine(
    registration: connector_core::Registration,
    workload: &Workload,
) -> Result<(Engine, PluginClient, Box<dyn std::any::Any>), Box<dyn std::error::Error>> {
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local"))?;
    engine.register(registration.options(options(workload)))?;
    engine.manager().activate("local").await?;
    engine.manager().activate("plugin").await?;
    let observing = observe::observe(&engine, workload.observe).await?;
    Ok((engine, local, observing))
}
