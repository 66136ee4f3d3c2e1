//! Services that a plugin adds while it runs.

use std::future::Future;
use std::sync::Arc;

use super::{Location, PluginClient};
use crate::error::{CallError, ServiceError};
use crate::plugin::{Instance, Service};

impl PluginClient {
    /// Adds a service to this plugin while it runs, and notifies the engine. From then on its methods can be called by
    /// path. `name` may be a path below another service.
    ///
    /// If the future is dropped, the service may have been added without the engine knowing it yet.
    ///
    /// # Errors
    /// A method has that name, or the engine rejects the new list of methods.
    pub async fn create_service(&self, name: &str, service: Service) -> Result<(), ServiceError> {
        let instance = self.instance()?;
        instance.add_service(name, &service)?;
        let update = serde_json::json!({ "name": &*self.name(), "methods": instance.exposed() });
        Ok(self.call("manager", "updateProfile", (update,)).await?)
    }

    /// Registers a factory for a service, which [`activate_service`](PluginClient::activate_service) runs later.
    ///
    /// # Errors
    /// The plugin is gone.
    pub fn prepare_service<Fut>(
        &self,
        name: &str,
        factory: impl Fn() -> Fut + Send + Sync + 'static,
    ) -> Result<(), ServiceError>
    where
        Fut: Future<Output = Service> + Send + 'static,
    {
        self.instance()?.prepare(name, factory);
        Ok(())
    }

    /// Runs the factory of a prepared service and adds the service. A factory runs at most once.
    ///
    /// # Errors
    /// Like [`create_service`](PluginClient::create_service), or nothing was prepared under that name.
    pub async fn activate_service(&self, name: &str) -> Result<(), ServiceError> {
        let service = self.instance()?.make_prepared(name).await?;
        self.create_service(name, service).await
    }

    /// Whether the plugin itself exposes a method of that name.
    pub(crate) fn exposes(&self, method: &str) -> bool {
        self.instance().is_ok_and(|instance| instance.exposes(method))
    }

    fn instance(&self) -> Result<Arc<Instance>, CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (_, entry) = self.engine("createService")?;
                entry.instance().ok_or_else(|| self.gone("createService"))
            }
            Location::Remote(remote) => Ok(remote.instance()),
        }
    }
}
