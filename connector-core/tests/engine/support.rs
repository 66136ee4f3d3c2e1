//! An engine with a plugin `local` in this process and plugins behind in-memory links.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{Switch, memory};
use connector_core::{
    ActivateError, CallError, ClientConfig, ConnectError, Engine, ExternalProfile, IntoArgs, Link, Plugin,
    PluginClient, PluginConnector, PluginOptions, Policy, Profile, QueueLimits, Registration, Rest, async_trait, serve,
};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) local: PluginClient,
}

impl Host {
    pub(crate) async fn new() -> Host {
        Host::with(Engine::new()).await
    }

    pub(crate) async fn with(engine: Engine) -> Host {
        let local = engine.register(Plugin::new("local")).unwrap();
        engine.manager().activate("local").await.unwrap();
        Host { engine, local }
    }

    /// An active plugin behind a link.
    pub(crate) async fn add(&self, plugin: impl Fn() -> Plugin + Send + 'static) -> Switch {
        self.add_with(PluginOptions::default(), plugin).await
    }

    pub(crate) async fn add_with(
        &self,
        options: PluginOptions,
        plugin: impl Fn() -> Plugin + Send + 'static,
    ) -> Switch {
        let name = plugin().name().to_owned();
        let switch = self.register(options, plugin);
        self.engine.manager().activate(&name).await.unwrap();
        switch
    }

    pub(crate) fn register(&self, options: PluginOptions, plugin: impl Fn() -> Plugin + Send + 'static) -> Switch {
        behind_memory(&self.engine, options, plugin)
    }
}

pub(crate) fn behind_memory(
    engine: &Engine,
    options: PluginOptions,
    plugin: impl Fn() -> Plugin + Send + 'static,
) -> Switch {
    let (connector, accepts, switch) = memory();
    let profile = ExternalProfile::new(plugin().name(), "memory://");
    engine.register(Registration::behind(profile, connector).options(options)).unwrap();
    tokio::spawn(serve(accepts, plugin, ClientConfig::default()));
    switch
}

/// A host where any plugin may deactivate any other.
pub(crate) async fn permissive_host() -> Host {
    struct AnyoneMay;
    #[async_trait]
    impl Policy for AnyoneMay {
        async fn can_deactivate(&self, _: &Profile, _: &Profile) -> bool {
            true
        }
    }
    Host::with(Engine::builder().policy(AnyoneMay).build()).await
}

/// Grants the activation of one plugin when notified, and of all others at once.
pub(crate) struct Undecided {
    pub(crate) about: &'static str,
    pub(crate) granted: Arc<Notify>,
}

#[async_trait]
impl Policy for Undecided {
    async fn can_activate(&self, _: &Profile, to: &Profile, _: Option<&str>) -> bool {
        if to.name == self.about {
            self.granted.notified().await;
        }
        true
    }
}

/// Runs everything that can make progress now; a short virtual time passes.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The result of `work`, which must complete long before any time limit of the crate.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1), work).await.expect("it waits for a time limit")
}

/// Recorded values, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Value>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<Value>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A listener that records an event's arguments.
    pub(crate) fn listener(&self) -> impl Fn(Rest) + Send + Sync + use<> {
        let notes = self.clone();
        move |args: Rest| notes.add(json(&args))
    }
}

pub(crate) fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Records when it is dropped.
pub(crate) struct OnDrop(pub(crate) Notes, pub &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

impl Host {
    /// A call in `local`'s name, running concurrently with the test.
    pub(crate) fn start<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        target: &'static str,
        method: &'static str,
        args: impl IntoArgs + 'static,
    ) -> JoinHandle<Result<T, CallError>> {
        let local = self.local.clone();
        tokio::spawn(async move { local.call(target, method, args).await })
    }

    /// An activation by the host, running concurrently with the test.
    pub(crate) fn start_activation(&self, name: &'static str) -> JoinHandle<Result<(), ActivateError>> {
        let manager = self.engine.manager();
        tokio::spawn(async move { manager.activate(name).await })
    }
}

/// Connects by cloning a link.
pub(crate) struct Clones<L>(pub(crate) L);

#[async_trait]
impl<L: Link + Clone> PluginConnector for Clones<L> {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        Ok(Box::new(self.0.clone()))
    }
}

/// Limits for a link's queue that holds few messages.
pub(crate) fn short_queue(messages: usize) -> QueueLimits {
    let mut limits = QueueLimits::default();
    limits.capacity = messages;
    limits
}
