//! A running plugin and its method table, which services may extend.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, ready};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::{CAN_DEACTIVATE, Context, Handler, MethodResult, Plugin, Service};
use crate::error::{Fault, ServiceError};
use crate::excerpt::cut;
use crate::runtime::BoxFuture;
use crate::sync::lock;
use crate::wire::{Name, Payload};

type Factory = Arc<dyn Fn() -> BoxFuture<Service> + Send + Sync>;

/// A running instance of a plugin: registered with an engine, or at the end of one link.
pub(crate) struct Instance {
    pub(crate) plugin: Plugin,
    table: ArcSwap<Table>,
    prepared: Mutex<HashMap<String, Factory>>,
}

#[derive(Clone)]
struct Table {
    // PERF: docs/performance.md, "SipHash".
    /// By full path without the plugin's name: `add`, `tools.ping`. A B-tree, because a few names fit one node and are
    /// found faster than one is hashed.
    handlers: BTreeMap<Name, Handler>,
    /// Bare names, in the order in which they were exposed.
    exposed: Vec<Name>,
}

impl Instance {
    pub(crate) fn new(mut plugin: Plugin) -> Instance {
        let mut table = Table { handlers: BTreeMap::new(), exposed: std::mem::take(&mut plugin.exposed) };
        // PERF: docs/performance.md, "WebAssembly size": `collect` would bring a sort into every plugin.
        table.handlers.extend(plugin.methods.drain(..));
        Instance { plugin, table: ArcSwap::from_pointee(table), prepared: Mutex::default() }
    }

    /// Runs a method. `missing` formats the error if the table does not contain it.
    pub(crate) fn invoke(
        &self,
        context: Context,
        args: Payload,
        missing: fn(&str, &str) -> String,
    ) -> BoxFuture<MethodResult> {
        let table = self.table.load();
        let found = match context.path().split_once('.') {
            None => table.handlers.get(context.method()),
            Some((_, services)) => table.handlers.get(&*format!("{services}.{}", context.method())),
        };
        match found {
            Some(handler) => handler(context, args),
            None if context.method() == CAN_DEACTIVATE => Box::pin(ready(Ok(Payload::new(true)))),
            None => {
                let method = method_path(context.path(), context.method());
                Box::pin(ready(Err(Fault::new(missing(&cut(method), &context.client().name())))))
            }
        }
    }

    /// The handler of a method of the plugin itself, not of a service.
    pub(crate) fn handler(&self, method: &str) -> Option<Handler> {
        self.table.load().handlers.get(method).cloned()
    }

    pub(crate) fn exposes(&self, method: &str) -> bool {
        self.table.load().exposed.iter().any(|name| name == method)
    }

    pub(crate) fn exposed(&self) -> Vec<String> {
        self.table.load().exposed.iter().map(Name::to_string).collect()
    }

    /// Adds a service to the table. The caller must notify the engine.
    pub(crate) fn add_service(&self, name: &str, service: &Service) -> Result<(), ServiceError> {
        if self.exposes(name) {
            return Err(ServiceError::NameTaken);
        }
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            let mut methods = Vec::new();
            service.add_to(name, &mut methods, &mut table.exposed);
            table.handlers.extend(methods);
            table
        });
        Ok(())
    }

    pub(crate) fn prepare<Fut>(&self, name: &str, factory: impl Fn() -> Fut + Send + Sync + 'static)
    where
        Fut: Future<Output = Service> + Send + 'static,
    {
        lock(&self.prepared).insert(name.to_owned(), Arc::new(move || Box::pin(factory())));
    }

    /// Removes the factory prepared under that name and runs it.
    pub(crate) async fn make_prepared(&self, name: &str) -> Result<Service, ServiceError> {
        let factory = lock(&self.prepared).remove(name).ok_or_else(|| ServiceError::NotPrepared(name.to_owned()))?;
        Ok(factory().await)
    }
}

/// A method's path without the plugin: `cmd.git.status` for the method `status` of the path `remixd.cmd.git`.
fn method_path(path: &str, method: &str) -> String {
    match path.split_once('.') {
        None => method.to_owned(),
        Some((_, services)) => format!("{services}.{method}"),
    }
}
