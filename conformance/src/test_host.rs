//! A host for the tests of a plugin.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_core::{
    CallError, CallOutcome, CallResult, ClientConfig, Engine, EngineBuilder, ExternalProfile, IntoArgs, LinkState,
    Observation, Observing, Payload, Plugin, PluginClient, Registration, serve,
};
use tokio::sync::Notify;

use crate::memory::{Switch, memory};
use crate::runtime::{Task, lock, sleep, spawn};

/// The time limit of [`TestHost::wait_for`]. With a paused clock it costs no real time.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// A host for the tests of a plugin: an engine in memory, a plugin `app` that calls, and a transcript of what happens.
///
/// Use it in a test with `#[tokio::test(start_paused = true)]`: time limits, delays and losses then cost no real time, and
/// happen in the same order each time.
///
/// ```
/// use std::time::Duration;
///
/// use conformance::{Fault, TestHost};
/// use connector_core::{CallError, Plugin};
///
/// fn calculator() -> Plugin {
///     Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b }).method("think", || async {
///         tokio::time::sleep(Duration::from_secs(5)).await
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), CallError> {
/// let host = TestHost::new().await;
/// let link = host.remote(calculator).await;
/// let sum: i64 = host.call("calculator", "add", (1, 2)).await?;
/// assert_eq!(sum, 3);
///
/// link.script([(Duration::from_secs(1), Fault::Down), (Duration::from_secs(10), Fault::Up)]);
/// let lost = host.call::<()>("calculator", "think", ()).await;
/// assert!(matches!(lost, Err(CallError::LinkLost(_))));
/// host.wait_for("calculator: link up").await;
/// assert_eq!(host.transcript()[..2], ["calculator: link up", "app -> calculator.add [1,2] = 3"]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TestHost {
    engine: Engine,
    app: PluginClient,
    transcript: Arc<Transcript>,
    _observing: Observing,
}

#[derive(Debug, Default)]
struct Transcript {
    lines: Mutex<Lines>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<String>,
    /// The number of lines that [`TestHost::wait_for`] has passed.
    passed: usize,
    /// Arguments of the calls that have not ended.
    args: Vec<(u64, String)>,
}

impl TestHost {
    /// A host with an [`Engine`] as [`Engine::new`] makes it.
    ///
    /// # Panics
    /// Panics if called outside a tokio runtime.
    pub async fn new() -> TestHost {
        TestHost::with(Engine::builder()).await
    }

    /// A host with an engine that the test configures, for example with an access rule.
    ///
    /// # Panics
    /// As [`new`](TestHost::new); or the engine's rules do not let a plugin `app` be active.
    pub async fn with(engine: EngineBuilder) -> TestHost {
        let engine = engine.build();
        let transcript = Arc::new(Transcript::default());
        let observer = Arc::clone(&transcript);
        let observing = engine.observe(move |observation: &Observation<'_>| observer.add(observation));
        let app = active(&engine, Plugin::new("app")).await;
        TestHost { engine, app, transcript, _observing: observing }
    }

    /// Adds a plugin behind a link in memory, as if it ran in another process, and activates it. `plugin` makes it again
    /// for each link.
    ///
    /// # Panics
    /// It cannot be registered or activated.
    pub async fn remote(&self, plugin: impl Fn() -> Plugin + Send + 'static) -> TestLink {
        let name = plugin().name().to_owned();
        let (connector, accepts, switch) = memory();
        let registration = Registration::behind(ExternalProfile::new(&*name, "memory://"), connector);
        self.engine.register(registration).unwrap_or_else(|error| panic!("{error}"));
        let serving = spawn(async move {
            serve(accepts, plugin, ClientConfig::default()).await;
        });
        self.engine.manager().activate(&name).await.unwrap_or_else(|error| panic!("{error}"));
        TestLink { switch, faults: Mutex::default(), _serving: serving }
    }

    /// Adds a plugin in the engine's process and activates it: the plugin under test, or a stand-in for another that it
    /// calls.
    ///
    /// # Panics
    /// It cannot be registered or activated.
    pub async fn local(&self, plugin: Plugin) -> PluginClient {
        active(&self.engine, plugin).await
    }

    /// Calls a method as the plugin `app`: see [`PluginClient::call`].
    pub async fn call<T: CallResult>(&self, plugin: &str, method: &str, args: impl IntoArgs) -> Result<T, CallError> {
        self.app.call(plugin, method, args).await
    }

    /// The handle of the plugin `app`, to subscribe and to emit.
    pub fn app(&self) -> &PluginClient {
        &self.app
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What has happened so far, in order: calls when they end, events when they are emitted, except the
    /// manager's, and links when they go up or down: for a plugin with replicas, the link of each (`calculator/one`), and
    /// those of all together (`calculator`).
    ///
    /// ```text
    /// calculator: link up
    /// calculator emits added [20,22,42]
    /// app -> calculator.add [20,22] = 42
    /// app -> calculator.divide [1,0] ! "divided by zero"
    /// app -> calculator.think [5] dropped
    /// calculator: link down
    /// ```
    pub fn transcript(&self) -> Vec<String> {
        lock(&self.transcript.lines).all.clone()
    }

    /// Waits for the next line of the transcript that begins with `beginning`, and returns it. The search begins after
    /// the line that the previous wait returned. Cancel safe.
    ///
    /// # Panics
    /// There is none within 60 s; with a paused clock, these cost no real time. The message shows the transcript.
    pub async fn wait_for(&self, beginning: &str) -> String {
        let found = async {
            loop {
                let grown = self.transcript.grown.notified();
                if let Some(line) = lock(&self.transcript.lines).find(beginning) {
                    return line;
                }
                grown.await;
            }
        };
        tokio::select! {
            line = found => line,
            () = sleep(WAIT_LIMIT) => panic!(
                "no line begins with {beginning:?} within {WAIT_LIMIT:?}; the transcript:\n{}",
                self.transcript().join("\n")
            ),
        }
    }
}

async fn active(engine: &Engine, plugin: Plugin) -> PluginClient {
    let name = plugin.name().to_owned();
    let client = engine.register(plugin).unwrap_or_else(|error| panic!("{error}"));
    engine.manager().activate(&name).await.unwrap_or_else(|error| panic!("{error}"));
    client
}

impl Lines {
    fn find(&mut self, beginning: &str) -> Option<String> {
        let index = self.passed + self.all[self.passed..].iter().position(|line| line.starts_with(beginning))?;
        self.passed = index + 1;
        Some(self.all[index].clone())
    }
}

impl Transcript {
    fn add(&self, observation: &Observation<'_>) {
        let mut lines = lock(&self.lines);
        let line = match observation {
            Observation::CallQueued { call, args } => {
                lines.args.push((call.number, shown(args)));
                return;
            }
            Observation::CallEnded { call, outcome, .. } => {
                let index = lines.args.iter().position(|(number, _)| *number == call.number);
                let args = index.map(|index| lines.args.remove(index).1).unwrap_or_default();
                let end = match outcome {
                    CallOutcome::Returned(result) => format!("= {}", shown(result)),
                    CallOutcome::Failed(error) => format!("! {}", shown(&error.to_payload())),
                    _ => "dropped".to_owned(),
                };
                format!("{} -> {}.{} {args} {end}", call.from, call.to, call.method)
            }
            // Its events repeat what the test has done.
            Observation::Event { emitter: "manager", .. } => return,
            Observation::Event { emitter, event, args, .. } => format!("{emitter} emits {event} {}", shown(args)),
            Observation::Link { plugin, replica, state: LinkState::Up } => {
                format!("{}: link up", link(plugin, *replica))
            }
            Observation::Link { plugin, replica, state: LinkState::Down { tries: 0, .. } } => {
                format!("{}: link down", link(plugin, *replica))
            }
            _ => return,
        };
        lines.all.push(line);
        drop(lines);
        self.grown.notify_waiters();
    }
}

/// The link of a plugin or of one of its replicas, such as `calculator/one`.
fn link(plugin: &str, replica: Option<&str>) -> String {
    replica.map_or_else(|| plugin.to_owned(), |replica| format!("{plugin}/{replica}"))
}

fn shown(payload: &Payload) -> String {
    payload.to_json().map_or_else(|error| error.to_string(), |json| String::from_utf8_lossy(&json).into_owned())
}

/// The link of a plugin behind [`TestHost::remote`]. Dropping it ends the plugin's program.
#[derive(Debug)]
#[must_use = "dropping it ends the plugin's program"]
pub struct TestLink {
    switch: Switch,
    faults: Mutex<Vec<Task>>,
    _serving: Task,
}

/// What happens to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The link is cut, and messages in transit are lost. The engine makes another.
    Cut,
    /// The link is cut, and no other can be made.
    Down,
    /// Links can be made again.
    Up,
    /// Nothing is delivered any more, and neither end is notified.
    Stall,
}

impl TestLink {
    /// Makes it happen now.
    pub fn fault(&self, fault: Fault) {
        apply(&self.switch, fault);
    }

    /// Makes the faults happen, each at its time from now on.
    pub fn script(&self, faults: impl IntoIterator<Item = (Duration, Fault)>) {
        for (after, fault) in faults {
            let switch = self.switch.clone();
            lock(&self.faults).push(spawn(async move {
                sleep(after).await;
                apply(&switch, fault);
            }));
        }
    }
}

fn apply(switch: &Switch, fault: Fault) {
    if matches!(fault, Fault::Down | Fault::Up) {
        switch.refuse_connections(fault == Fault::Down);
    }
    match fault {
        Fault::Cut | Fault::Down => switch.cut(),
        Fault::Stall => switch.stall(),
        Fault::Up => {}
    }
}
