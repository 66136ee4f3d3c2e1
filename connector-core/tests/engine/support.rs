//! An engine with a plugin `local` here and plugins behind links in memory.

use connector_core::conformance::{Switch, memory};
use connector_core::{ClientConfig, Engine, ExternalProfile, Plugin, PluginClient, PluginOptions, Registration, serve};

pub struct Host {
    pub engine: Engine,
    pub local: PluginClient,
}

impl Host {
    pub async fn new() -> Host {
        Host::with(Engine::new()).await
    }

    pub async fn with(engine: Engine) -> Host {
        let local = engine.register(Plugin::new("local")).unwrap();
        engine.manager().activate("local").await.unwrap();
        Host { engine, local }
    }

    /// A plugin behind a link, active.
    pub async fn add(&self, plugin: impl Fn() -> Plugin + Send + 'static) -> Switch {
        self.add_with(PluginOptions::default(), plugin).await
    }

    pub async fn add_with(&self, options: PluginOptions, plugin: impl Fn() -> Plugin + Send + 'static) -> Switch {
        let name = plugin().name().to_owned();
        let switch = self.register(options, plugin);
        self.engine.manager().activate(&name).await.unwrap();
        switch
    }

    pub fn register(&self, options: PluginOptions, plugin: impl Fn() -> Plugin + Send + 'static) -> Switch {
        behind_memory(&self.engine, options, plugin)
    }
}

pub fn behind_memory(engine: &Engine, options: PluginOptions, plugin: impl Fn() -> Plugin + Send + 'static) -> Switch {
    let (connector, accepts, switch) = memory();
    let profile = ExternalProfile::new(plugin().name(), "memory://");
    engine.register(Registration::behind(profile, connector).options(options)).unwrap();
    tokio::spawn(serve(accepts, plugin, ClientConfig::default()));
    switch
}
