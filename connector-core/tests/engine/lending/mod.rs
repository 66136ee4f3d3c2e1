//! Plugins that engines lend to each other over in-memory links.

mod chains;
mod loans;
mod replicas;
mod turns;
mod updates;

use conformance::{Switch, memory};
use connector_core::{ClientConfig, Engine, ExternalProfile, PluginOptions, Registration, serve};

use crate::support::Host;

/// A host whose engine has this name for the engines that it borrows from.
pub(super) struct Party {
    pub(super) host: Host,
    pub(super) name: &'static str,
}

impl Party {
    pub(super) async fn new(name: &'static str) -> Party {
        Party::with(name, Engine::new()).await
    }

    pub(super) async fn with(name: &'static str, engine: Engine) -> Party {
        Party { host: Host::with(engine).await, name }
    }

    /// Lends a plugin, which the borrower registers under the same name.
    pub(super) fn lend(&self, plugin: &str, borrower: &Party) -> Switch {
        self.lend_with(PluginOptions::default(), plugin, borrower)
    }

    pub(super) fn lend_with(&self, options: PluginOptions, plugin: &str, borrower: &Party) -> Switch {
        let lent = self.host.engine.lend(plugin, borrower.name).unwrap();
        let (connector, accepts, switch) = memory();
        let registration = Registration::behind(ExternalProfile::new(plugin, "memory://"), connector);
        borrower.host.engine.register(registration.options(options.engine_name(borrower.name))).unwrap();
        tokio::spawn(serve(accepts, move || lent.clone(), ClientConfig::default()));
        switch
    }
}
