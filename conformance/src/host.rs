//! An engine with a plugin `local` here, and one behind the transport: what the cases above the links are written with.

use std::future::Future;
use std::sync::{Arc, Mutex};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;

use super::contract::{CONNECT, END, LIVES, ORDER, TOO_SLOW};
use super::failure::{Failure, Hint, shown};
use super::fixture::{Boxed, Capabilities, Control, MakeConnector};
use super::harness::{Lab, WAKERS, within};
use super::probe::{local, probe};
use crate::runtime::lock;
use crate::runtime::{self, Task};
use connector_core::{
    CallError, ClientConfig, Engine, ExternalProfile, IntoArgs, LinkEnd, LinkLost, LinkState, Payload, Plugin,
    PluginClient, PluginManager, PluginOptions, Registration, Rest, serve,
};

/// What was noted, in order.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<Value>>>);

impl Notes {
    pub(super) fn add(&self, note: impl Into<Value>) {
        lock(&self.0).push(note.into());
    }

    pub(super) fn all(&self) -> Vec<Value> {
        lock(&self.0).clone()
    }

    /// A listener that notes an event's first argument.
    pub(super) fn listener(&self) -> impl Fn(Rest) + Send + Sync + use<> {
        let notes = self.clone();
        move |args: Rest| {
            let first = args.0.into_iter().next().and_then(|first| first.read::<Value>().ok());
            notes.add(first.unwrap_or(Value::Null));
        }
    }

    /// Waits until so many are noted.
    pub(super) async fn wait(&self, has: &Capabilities, many: usize) -> Result<Vec<Value>, Failure> {
        let enough = async {
            while lock(&self.0).len() < many {
                runtime::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let waited = within(has.patience, format!("{many} to be noted"), enough).await;
        waited.or_look_at(&format!("messages that do not arrive; noted: {}", shown(&self.all()))).rule(ORDER)?;
        Ok(self.all())
    }
}

struct OnDrop(Notes, String);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1.as_str());
    }
}

/// The probe, and methods that never end, and that count.
pub(super) fn subject(notes: &Notes) -> Plugin {
    let (hangs, counts) = (notes.clone(), notes.clone());
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
            counts.add(what);
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

/// An engine, with `probe` at the other end of the transport.
pub(super) struct Host {
    pub(super) has: Capabilities,
    pub(super) engine: Engine,
    pub(super) local: PluginClient,
    pub(super) control: Box<dyn Control>,
    pub(super) notes: Notes,
    /// How the plugin's end ended, once it has.
    pub(super) served: Option<oneshot::Receiver<LinkEnd>>,
    _serving: Task,
    _another: MakeConnector,
}

pub(super) async fn activate(has: &Capabilities, engine: &Engine, name: &str) -> Result<(), Failure> {
    let activated = within(has.patience, format!("{name} to be activated"), engine.manager().activate(name)).await?;
    activated.map_err(|error| {
        let failure = Failure::new(format_args!("{name} to be activated"), error);
        failure.or_look_at("connect, accept, and whether the first messages arrive").rule(CONNECT)
    })
}

impl Host {
    pub(super) async fn new(lab: Lab) -> Result<Host, Failure> {
        Host::with(lab, options()).await
    }

    pub(super) async fn with(lab: Lab, options: PluginOptions) -> Result<Host, Failure> {
        let notes = Notes::default();
        let engine = Engine::new();
        let wrong = |error| Failure::new("a plugin to be registered", error);
        let local = engine.register(local()).map_err(wrong)?;
        let Lab { has, url, client, connector, control, another } = lab;
        let profile = ExternalProfile::new("probe", url.as_str());
        engine.register(Registration::behind(profile, Boxed(connector)).options(options)).map_err(wrong)?;
        let (tell, served) = oneshot::channel();
        let noted = notes.clone();
        let serving = runtime::spawn(async move {
            let end = serve(Boxed(client), move || subject(&noted), ClientConfig::default()).await;
            let _ = tell.send(end);
        });
        activate(&has, &engine, "local").await?;
        activate(&has, &engine, "probe").await?;
        Ok(Host { has, engine, local, control, notes, served: Some(served), _serving: serving, _another: another })
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

    /// A call that goes on beside the case.
    pub(super) fn start(&self, method: &'static str, args: impl IntoArgs + 'static) -> Started {
        Started::new(&self.local, method, args)
    }

    /// Waits until the link is up again, or down.
    pub(super) async fn link_is(&self, up: bool) -> Result<(), Failure> {
        link_is(&self.has, &self.engine, up).await
    }
}

pub(super) async fn link_is(has: &Capabilities, engine: &Engine, up: bool) -> Result<(), Failure> {
    let Some(mut state) = engine.link_state("probe") else { return Err(Failure::new("a link's state", "none")) };
    let what = if up { "the link to be up again" } else { "the link's end to be noticed" };
    let is = |state: &LinkState| state.is_up() == up;
    let waited = within(has.patience, what, state.wait_for(is)).await.map(|state| state.is_ok());
    match waited.or_look_at("connect and accept after a loss, and how a link tells its end")? {
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
    let outcome = within(has.patience, &what, caller.call(target, method, args)).await;
    outcome.or_look_at(WAKERS)?.map_err(|error| of_call(Failure::new(what, &error), &error))
}

/// What to look at if a call ended as this.
pub(super) fn of_call(failure: Failure, error: &CallError) -> Failure {
    let CallError::LinkLost(LinkLost::Seen { end, .. }) = error else { return failure };
    match **end {
        LinkEnd::TooSlow(_) => failure
            .or_look_at("poll_ready and poll_flush: the core ended the link, since they took nothing for too long")
            .rule(TOO_SLOW),
        _ => failure.or_look_at("what made the link end, and whether it had to").rule(LIVES),
    }
}

pub(super) struct Started {
    task: Option<Task>,
    outcome: oneshot::Receiver<Result<Payload, CallError>>,
}

impl Started {
    pub(super) fn new(caller: &PluginClient, method: &'static str, args: impl IntoArgs + 'static) -> Started {
        let (tell, outcome) = oneshot::channel();
        let caller = caller.clone();
        let task = runtime::spawn(async move {
            let _ = tell.send(caller.call("probe", method, args).await);
        });
        Started { task: Some(task), outcome }
    }

    /// Drops the call's future.
    pub(super) fn drop_call(&mut self) {
        self.task = None;
    }

    pub(super) async fn outcome(&mut self, has: &Capabilities) -> Result<Result<Payload, CallError>, Failure> {
        let ended = within(has.patience, "a call to end", &mut self.outcome).await;
        let ended = ended.or_look_at("a link that ends and does not say so, or loses a message").rule(END)?;
        ended.map_err(|_| Failure::new("a call to end", "a task that panicked"))
    }

    /// The call must end because its link did.
    pub(super) async fn is_lost(&mut self, has: &Capabilities) -> Result<(), Failure> {
        match self.outcome(has).await? {
            Err(CallError::LinkLost(_)) => Ok(()),
            other => Err(Failure::new("a call that ends as link lost", shown(&other))),
        }
    }
}

/// All of them at once; the first that fails ends it.
pub(super) async fn all<T>(calls: Vec<impl Future<Output = Result<T, Failure>>>) -> Result<Vec<T>, Failure> {
    futures_util::future::try_join_all(calls).await
}
