//! An engine with a plugin `local` in this process and a plugin behind the transport, for the cases above the link layer.

use std::future::Future;
use std::sync::{Arc, Mutex};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;

use super::capabilities::Capabilities;
use super::contract::{CONNECT, END, LIVES, ORDER, PROGRESS};
use super::failure::{Failure, Hint, shown};
use super::fixture::{Boxed, Control, MakeConnector};
use super::harness::{Harness, WAKERS, within};
use super::probe::{local, probe};
use crate::runtime::lock;
use crate::runtime::{self, Task};
use connector_core::{
    CallError, ClientConfig, Engine, ExternalProfile, IntoArgs, LinkEnd, LinkLost, LinkState, Observing, Payload,
    Plugin, PluginClient, PluginManager, PluginOptions, Registration, Rest, serve,
};

/// Values recorded by a case, in order.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<Value>>>);

impl Notes {
    pub(super) fn add(&self, note: impl Into<Value>) {
        lock(&self.0).push(note.into());
    }

    pub(super) fn all(&self) -> Vec<Value> {
        lock(&self.0).clone()
    }

    /// Subscribes to an event of the probe, and records the first argument of each occurrence.
    pub(super) fn of_event(event: &str, listener: &PluginClient) -> Result<Notes, Failure> {
        let notes = Notes::default();
        listener.on("probe", event, notes.listener()).map_err(|error| Failure::new("a listener", error))?;
        Ok(notes)
    }

    fn listener(&self) -> impl Fn(Rest) + Send + Sync + use<> {
        let notes = self.clone();
        move |args: Rest| {
            let first = args.0.into_iter().next().and_then(|first| first.read::<Value>().ok());
            notes.add(first.unwrap_or(Value::Null));
        }
    }

    /// Waits until `count` values are recorded.
    pub(super) async fn wait(&self, has: &Capabilities, count: usize) -> Result<Vec<Value>, Failure> {
        let enough = async {
            while lock(&self.0).len() < count {
                runtime::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let waited = within(has.timeout, format!("{count} values to be recorded"), enough).await;
        waited.fallback_hint(&format!("messages that do not arrive; recorded: {}", shown(&self.all()))).rule(ORDER)?;
        Ok(self.all())
    }
}

struct OnDrop(Notes, String);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1.as_str());
    }
}

/// The probe, with further methods: one that never ends, one that records, one with a large result.
pub(super) fn subject(notes: &Notes) -> Plugin {
    let (hangs, records) = (notes.clone(), notes.clone());
    probe()
        .method("hang", move |what: String| {
            let notes = hangs.clone();
            async move {
                notes.add(format!("{what} starts"));
                let _end = OnDrop(notes, format!("{what} dropped"));
                std::future::pending::<()>().await
            }
        })
        .method("note", move |what: Value| {
            records.add(what);
            async { true }
        })
        .method("big", |bytes: usize| async move { "x".repeat(bytes) })
}

pub(super) fn options() -> PluginOptions {
    PluginOptions::default()
        .concurrency(20_000)
        .queue_length(20_000)
        .queue_timeout(std::time::Duration::from_secs(600))
        .activation_timeout(std::time::Duration::from_secs(25))
        .reconnect_delay(std::time::Duration::from_millis(10), std::time::Duration::from_millis(100))
}

/// An engine with `probe` at the other end of the transport.
pub(super) struct Host {
    pub(super) has: Capabilities,
    pub(super) engine: Engine,
    pub(super) local: PluginClient,
    pub(super) control: Box<dyn Control>,
    pub(super) notes: Notes,
    /// Resolves to how the plugin's end ended.
    pub(super) served: Option<oneshot::Receiver<LinkEnd>>,
    _serving: Task,
    _another: MakeConnector,
    _observing: Option<Observing>,
}

pub(super) async fn activate(has: &Capabilities, engine: &Engine, name: &str) -> Result<(), Failure> {
    let activated = within(has.timeout, format!("{name} to be activated"), engine.manager().activate(name)).await?;
    activated.map_err(|error| {
        let failure = Failure::new(format_args!("{name} to be activated"), error);
        failure.fallback_hint("connect, accept, and whether the first messages arrive").rule(CONNECT)
    })
}

impl Host {
    pub(super) async fn new(harness: Harness) -> Result<Host, Failure> {
        Host::with(harness, options()).await
    }

    pub(super) async fn with(harness: Harness, options: PluginOptions) -> Result<Host, Failure> {
        let notes = Notes::default();
        let failed = |error| Failure::new("a plugin to be registered", error);
        let Harness { has, url, client, connector, control, another, engine, observing } = harness;
        let local = engine.register(local()).map_err(failed)?;
        let profile = ExternalProfile::new("probe", url.as_str());
        engine.register(Registration::behind(profile, Boxed(connector)).options(options)).map_err(failed)?;
        let (ended, served) = oneshot::channel();
        let recorded = notes.clone();
        let serving = runtime::spawn(async move {
            let end = serve(Boxed(client), move || subject(&recorded), ClientConfig::default()).await;
            let _ = ended.send(end);
        });
        activate(&has, &engine, "local").await?;
        activate(&has, &engine, "probe").await?;
        Ok(Host {
            has,
            engine,
            local,
            control,
            notes,
            served: Some(served),
            _serving: serving,
            _another: another,
            _observing: observing,
        })
    }

    pub(super) fn manager(&self) -> PluginManager {
        self.engine.manager()
    }

    pub(super) async fn call<T: DeserializeOwned + 'static>(
        &self,
        method: &str,
        args: impl IntoArgs,
    ) -> Result<T, Failure> {
        call(&self.has, &self.local, "probe", method, args).await
    }

    /// Starts a call that runs concurrently with the case.
    pub(super) fn start(&self, method: &'static str, args: impl IntoArgs + 'static) -> PendingCall {
        PendingCall::new(&self.local, method, args)
    }

    /// Waits until the link is up again, or down.
    pub(super) async fn link_is(&self, up: bool) -> Result<(), Failure> {
        link_is(&self.has, &self.engine, up).await
    }
}

pub(super) async fn link_is(has: &Capabilities, engine: &Engine, up: bool) -> Result<(), Failure> {
    let Some(mut state) = engine.link_state("probe") else { return Err(Failure::new("a link's state", "none")) };
    let what = if up { "the link to be up again" } else { "the link's end to be detected" };
    let is = |state: &LinkState| state.is_up() == up;
    let waited = within(has.timeout, what, state.wait_for(is)).await.map(|state| state.is_ok());
    match waited.fallback_hint("connect and accept after a loss, and how a link reports its end")? {
        true => Ok(()),
        false => Err(Failure::new(what, "the engine's end")),
    }
}

pub(super) async fn call<T: DeserializeOwned + 'static>(
    has: &Capabilities,
    caller: &PluginClient,
    target: &str,
    method: &str,
    args: impl IntoArgs,
) -> Result<T, Failure> {
    let what = format!("{target}.{method} to answer");
    let outcome = within(has.timeout, &what, caller.call(target, method, args)).await;
    outcome.fallback_hint(WAKERS)?.map_err(|error| explain(Failure::new(what, &error), &error))
}

/// Adds where to look if a call ended with this error.
pub(super) fn explain(failure: Failure, error: &CallError) -> Failure {
    let CallError::LinkLost(lost) = error else { return failure };
    let LinkLost::Observed { end, .. } = &**lost else { return failure };
    match end {
        LinkEnd::TooSlow(_) => failure
            .fallback_hint(
                "poll_ready and poll_flush: the core ended the link because they made no progress for too long",
            )
            .rule(PROGRESS),
        _ => failure.fallback_hint("why the link ended, and whether it had to").rule(LIVES),
    }
}

pub(super) struct PendingCall {
    task: Option<Task>,
    outcome: oneshot::Receiver<Result<Payload, CallError>>,
}

impl PendingCall {
    pub(super) fn new(caller: &PluginClient, method: &'static str, args: impl IntoArgs + 'static) -> PendingCall {
        let (done, outcome) = oneshot::channel();
        let caller = caller.clone();
        let task = runtime::spawn(async move {
            let _ = done.send(caller.call("probe", method, args).await);
        });
        PendingCall { task: Some(task), outcome }
    }

    /// Drops the call's future.
    pub(super) fn drop_call(&mut self) {
        self.task = None;
    }

    pub(super) async fn outcome(&mut self, has: &Capabilities) -> Result<Result<Payload, CallError>, Failure> {
        let ended = within(has.timeout, "a call to end", &mut self.outcome).await;
        let ended = ended.fallback_hint("a link that ends without reporting it, or loses a message").rule(END)?;
        ended.map_err(|_| Failure::new("a call to end", "a task that panicked"))
    }

    /// Checks that the call ends because its link was lost.
    pub(super) async fn is_lost(&mut self, has: &Capabilities) -> Result<(), Failure> {
        match self.outcome(has).await? {
            Err(CallError::LinkLost(_)) => Ok(()),
            other => Err(Failure::new("a call that ends as link lost", shown(&other))),
        }
    }
}

/// Runs all of them concurrently until the first failure.
pub(super) async fn all<T>(calls: Vec<impl Future<Output = Result<T, Failure>>>) -> Result<Vec<T>, Failure> {
    futures_util::future::try_join_all(calls).await
}
