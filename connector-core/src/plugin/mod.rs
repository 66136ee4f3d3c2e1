//! Plugins: named methods, services and hooks.

mod args;
mod context;
mod handler;
mod instance;
mod scope;
mod signature;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

pub use args::{IntoArgs, Parameter, Parameters, Rest};
pub use context::Context;
pub(crate) use handler::{Callback, Handler, MethodResult, callback, run_callback};
pub use handler::{Json, Listener, Method, Reply};
pub(crate) use instance::Instance;
pub(crate) use scope::Scope;

use crate::client::PluginClient;
use crate::engine::Lent;
use crate::error::RegisterError;
use crate::profile::Profile;
use crate::runtime::BoxFuture;
use crate::wire::Name;

pub(crate) type Hook = Arc<dyn Fn(PluginClient) -> BoxFuture<()> + Send + Sync>;
pub(crate) type ActivationRule = Arc<dyn Fn(Profile, Option<String>) -> BoxFuture<bool> + Send + Sync>;

/// A plugin: a name, methods and hooks. The same value can be registered with an [`Engine`](crate::Engine), or served
/// behind any connector ([`serve()`](crate::serve())).
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
/// assert_eq!(plugin.profile().methods.unwrap_or_default(), ["add", "divide", "whoami", "recall"]);
/// ```
///
/// Clones share the methods and whatever they capture.
#[derive(Clone)]
#[must_use = "a plugin does nothing unless it is registered or served"]
pub struct Plugin {
    pub(crate) profile: Profile,
    pub(crate) methods: Vec<(Name, Handler)>,
    pub(crate) exposed: Vec<Name>,
    pub(crate) on_registration: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) on_activation: Option<Hook>,
    pub(crate) on_deactivation: Option<Hook>,
    pub(crate) can_activate: Option<ActivationRule>,
    /// Set if it is a plugin of an engine that lends it: then it has nothing else.
    pub(crate) lent: Option<Lent>,
}

impl Plugin {
    /// A plugin with a profile, or just a name, and no methods yet.
    ///
    /// The profile's own `methods` are replaced by those added with [`method`](Plugin::method) and
    /// [`service`](Plugin::service).
    pub fn new(profile: impl Into<Profile>) -> Plugin {
        Plugin {
            profile: profile.into(),
            methods: Vec::new(),
            exposed: Vec::new(),
            on_registration: None,
            on_activation: None,
            on_deactivation: None,
            can_activate: None,
            lent: None,
        }
    }

    /// A plugin made of a plain set of methods (the published `LibraryPlugin`): all of them, or those listed in the
    /// profile's `methods`.
    ///
    /// # Errors
    /// The profile lists a method that does not exist.
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

    /// Adds a method that others can call: see [`Method`] for what can be one. A second method of the same name
    /// replaces the first.
    ///
    /// As in JavaScript, a call may pass more arguments than the method has parameters; the method does not see them (a
    /// last parameter [`Rest`] receives them). A parameter without an argument is `None` if it is an `Option`, and
    /// `null` if it is a `serde_json::Value`; for most other types the call ends with an error such as `missing
    /// argument 2: expected u64`, and the method does not run.
    pub fn method<M>(mut self, name: &str, method: impl Method<M>) -> Plugin {
        let name = Name::from(name);
        self.methods.push((name.clone(), handler::handler(method)));
        if !self.exposed.contains(&name) {
            self.exposed.push(name);
        }
        self
    }

    /// Adds a service, whose methods are called by the path `plugin.service`.
    pub fn service(mut self, name: &str, service: Service) -> Plugin {
        service.add_to(name, &mut self.methods, &mut self.exposed);
        self
    }

    /// Sets the method that decides whether another plugin may deactivate this one, returning `true` or `false`. It is
    /// the published `canDeactivate`, and appears in the profile's list of methods. An error counts as no. Its argument
    /// is the profile of the requesting plugin. It is called after the [`Policy`](crate::Policy::can_deactivate) has
    /// agreed, and not for the host or the plugin itself.
    ///
    /// A plugin without this method agrees. So does a published plugin that does not list it and does not respond
    /// within 1 s.
    pub fn can_deactivate<M>(self, method: impl Method<M>) -> Plugin {
        self.method(CAN_DEACTIVATE, method)
    }

    /// Sets a rule that decides whether a call may activate this plugin on demand, given the caller's profile and the
    /// method. Default: yes. It applies only if the plugin is in the engine's process, and after the
    /// [`Policy`](crate::Policy::can_activate) has agreed.
    pub fn can_activate<Fut>(mut self, rule: impl Fn(Profile, Option<String>) -> Fut + Send + Sync + 'static) -> Plugin
    where
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.can_activate = Some(Arc::new(move |from, method| Box::pin(rule(from, method))));
        self
    }

    /// Sets a hook that runs after the plugin's registration with an engine in its process.
    pub fn on_registration(mut self, hook: impl Fn() + Send + Sync + 'static) -> Plugin {
        self.on_registration = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that runs when the plugin is activated or, behind a connector, at an engine's handshake, and so
    /// again each time an engine reconnects. Subscribe to events here.
    ///
    /// In the engine's process the activation waits for the hook, up to
    /// [`activation_timeout`](crate::PluginOptions::activation_timeout), and fails if it panics. Behind a connector the
    /// hook runs concurrently with calls, and a panic ends the link, which the engine makes again.
    pub fn on_activation<Fut>(mut self, hook: impl Fn(PluginClient) -> Fut + Send + Sync + 'static) -> Plugin
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_activation = Some(Arc::new(move |client| Box::pin(hook(client))));
        self
    }

    /// Sets a hook that runs when the plugin is deactivated or, behind a connector, when a link has ended; in the
    /// latter case its handle no longer works. The hook is dropped after
    /// [`activation_timeout`](crate::PluginOptions::activation_timeout) (behind a connector: after 10 s).
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

    /// The profile, including the exposed methods.
    pub fn profile(&self) -> Profile {
        Profile { methods: Some(self.exposed.iter().map(Name::to_string).collect()), ..self.profile.clone() }
    }
}

/// Always callable, but not listed (docs/protocol.md, section 5.4).
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
///
/// ```
/// use connector_core::{Plugin, Service};
///
/// let git = Service::new().method("log", || async { vec!["first commit"] });
/// let plugin = Plugin::new("remixd").service("git", git); // `call("remixd.git", "log", ())`
/// ```
#[derive(Clone, Default)]
#[must_use = "a service does nothing unless it is added to a plugin"]
pub struct Service {
    methods: Vec<(Name, Handler)>,
    services: Vec<(String, Service)>,
}

impl Service {
    /// A service with no methods yet.
    pub fn new() -> Service {
        Service::default()
    }

    /// Adds a method: see [`Method`] for what can be one.
    pub fn method<M>(mut self, name: &str, method: impl Method<M>) -> Service {
        self.methods.push((name.into(), handler::handler(method)));
        self
    }

    /// Adds a nested service: `plugin.this.name`.
    pub fn service(mut self, name: &str, service: Service) -> Service {
        self.services.push((name.to_owned(), service));
        self
    }

    /// Adds the methods to a table by path, and their bare names to the list of exposed methods.
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
