//! What a plugin is, wherever it runs: a table of methods with their names, services, and hooks.

mod args;
mod context;
mod handler;
mod instance;
mod signature;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

pub use args::{IntoArgs, Parameter, Parameters, Rest};
pub use context::Context;
pub(crate) use handler::{BoxFuture, Callback, Handler, Outcome, callback, panic_text, run_callback};
pub use handler::{Json, Listener, Method, Reply};
pub(crate) use instance::Instance;

use crate::client::PluginClient;
use crate::error::RegisterError;
use crate::message::Name;
use crate::profile::Profile;

pub(crate) type Hook = Arc<dyn Fn(PluginClient) -> BoxFuture<()> + Send + Sync>;
pub(crate) type ActivationRule = Arc<dyn Fn(Profile, Option<String>) -> BoxFuture<bool> + Send + Sync>;

/// A plugin, written once: the same value is registered with an [`Engine`](crate::Engine) or served behind any
/// connector.
///
/// ```
/// use connector_core::{Context, Plugin, Service};
///
/// async fn add(a: f64, b: f64) -> f64 {
///     a + b
/// }
///
/// let plugin = Plugin::new("calculator")
///     .method("add", add)
///     .method("divide", |a: f64, b: f64| async move {
///         if b == 0.0 { Err("cannot divide by zero") } else { Ok(a / b) }
///     })
///     .method("whoami", |ctx: Context| async move { ctx.from().to_owned() })
///     .service("memory", Service::new().method("recall", || async { 0.0 }));
/// assert_eq!(plugin.profile().methods.as_deref().unwrap(), ["add", "divide", "whoami", "recall"]);
/// ```
///
/// Cloning shares the methods and whatever they capture.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) profile: Profile,
    pub(crate) methods: Vec<(Name, Handler)>,
    pub(crate) exposed: Vec<Name>,
    pub(crate) on_registration: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) on_activation: Option<Hook>,
    pub(crate) on_deactivation: Option<Hook>,
    pub(crate) can_activate: Option<ActivationRule>,
}

impl Plugin {
    /// A plugin with a profile, or just a name, and no methods yet.
    ///
    /// The profile's own `methods` are replaced by what [`method`](Plugin::method) and [`service`](Plugin::service) add.
    pub fn new(profile: impl Into<Profile>) -> Plugin {
        Plugin {
            profile: profile.into(),
            methods: Vec::new(),
            exposed: Vec::new(),
            on_registration: None,
            on_activation: None,
            on_deactivation: None,
            can_activate: None,
        }
    }

    /// A plain set of methods as a plugin (the published `LibraryPlugin`): all of them, or those that the profile's
    /// `methods` list.
    ///
    /// # Errors
    /// The profile lists a method that is not there.
    pub fn library(profile: impl Into<Profile>, methods: Service) -> Result<Plugin, RegisterError> {
        let mut plugin = Plugin::new(profile);
        let Some(listed) = plugin.profile.methods.take() else {
            plugin.exposed = methods.methods.iter().map(|(name, _)| name.clone()).collect();
            plugin.methods = methods.methods;
            return Ok(plugin);
        };
        for name in listed {
            let Some(method) = methods.methods.iter().find(|(method, _)| *method == name) else {
                return Err(RegisterError::NotInLibrary { method: name, plugin: plugin.profile.name });
            };
            plugin.exposed.push(method.0.clone());
            plugin.methods.push(method.clone());
        }
        Ok(plugin)
    }

    /// Exposes a method. A second one of the same name takes the place of the first.
    #[must_use]
    pub fn method<M>(mut self, name: &str, method: impl Method<M>) -> Plugin {
        let name = Name::from(name);
        self.methods.push((name.clone(), handler::handler(method)));
        if !self.exposed.contains(&name) {
            self.exposed.push(name);
        }
        self
    }

    /// Adds a service: its methods are called by path, `plugin.service`.
    #[must_use]
    pub fn service(mut self, name: &str, service: Service) -> Plugin {
        service.add_to(name, &mut self.methods, &mut self.exposed);
        self
    }

    /// Answers whether another plugin may deactivate this one, with `true` or `false`: the published `canDeactivate`,
    /// which is then in the profile's list of methods. An error counts as no.
    ///
    /// A plugin that has no such method agrees, and so does one that does not list it and does not answer within a second.
    #[must_use]
    pub fn can_deactivate<M>(self, method: impl Method<M>) -> Plugin {
        self.method(CAN_DEACTIVATE, method)
    }

    /// Answers whether a call may activate this plugin on demand: the profile of who calls, and the method. Yes by
    /// default. Asked only where the plugin is registered with an engine in its process.
    #[must_use]
    pub fn can_activate<Fut>(mut self, rule: impl Fn(Profile, Option<String>) -> Fut + Send + Sync + 'static) -> Plugin
    where
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.can_activate = Some(Arc::new(move |from, method| Box::pin(rule(from, method))));
        self
    }

    /// Runs when the plugin has been registered with an engine in its process.
    #[must_use]
    pub fn on_registration(mut self, hook: impl Fn() + Send + Sync + 'static) -> Plugin {
        self.on_registration = Some(Arc::new(hook));
        self
    }

    /// Runs when the plugin is activated, or, behind a connector, when an engine has shaken hands.
    ///
    /// In the engine, activation waits for it within
    /// [`activation_timeout`](crate::PluginOptions::activation_timeout); behind a connector it runs beside.
    #[must_use]
    pub fn on_activation<Fut>(mut self, hook: impl Fn(PluginClient) -> Fut + Send + Sync + 'static) -> Plugin
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_activation = Some(Arc::new(move |client| Box::pin(hook(client))));
        self
    }

    /// Runs when the plugin is deactivated, or, behind a connector, when the link has ended. It is given up after
    /// [`activation_timeout`](crate::PluginOptions::activation_timeout) (behind a connector: after 10 s).
    #[must_use]
    pub fn on_deactivation<Fut>(mut self, hook: impl Fn(PluginClient) -> Fut + Send + Sync + 'static) -> Plugin
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_deactivation = Some(Arc::new(move |client| Box::pin(hook(client))));
        self
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.profile.name
    }

    /// The profile, with the methods it exposes.
    pub fn profile(&self) -> Profile {
        Profile { methods: Some(self.exposed.iter().map(Name::to_string).collect()), ..self.profile.clone() }
    }
}

/// Always callable, never listed (protocol.md, "Calls inside the engine").
pub(crate) const CAN_DEACTIVATE: &str = "canDeactivate";

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.profile.name)
            .field("methods", &self.exposed)
            .finish_non_exhaustive()
    }
}

/// A group of methods under a plugin, or under another service, called by path.
#[derive(Clone, Default)]
pub struct Service {
    methods: Vec<(Name, Handler)>,
    services: Vec<(String, Service)>,
}

impl Service {
    /// A service with no methods yet.
    pub fn new() -> Service {
        Service::default()
    }

    /// Exposes a method.
    #[must_use]
    pub fn method<M>(mut self, name: &str, method: impl Method<M>) -> Service {
        self.methods.push((name.into(), handler::handler(method)));
        self
    }

    /// Adds a service below this one: `plugin.this.name`.
    #[must_use]
    pub fn service(mut self, name: &str, service: Service) -> Service {
        self.services.push((name.to_owned(), service));
        self
    }

    /// Adds the methods, by path, to a table, and their bare names to the list of what is exposed.
    pub(crate) fn add_to(&self, path: &str, methods: &mut Vec<(Name, Handler)>, exposed: &mut Vec<Name>) {
        for (name, handler) in &self.methods {
            methods.push((format!("{path}.{name}").into(), handler.clone()));
            if !exposed.contains(name) {
                exposed.push(name.clone());
            }
        }
        for (name, service) in &self.services {
            service.add_to(&format!("{path}.{name}"), methods, exposed);
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.methods.iter().map(|(name, _)| name).collect();
        f.debug_struct("Service").field("methods", &names).field("services", &self.services).finish()
    }
}
