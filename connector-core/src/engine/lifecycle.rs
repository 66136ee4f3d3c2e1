//! Registration, activation, deactivation, removal.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;

use super::entry::{Entry, Host, Registry, Status};
use super::external::{External, LinkState};
use super::registration::{Place, Registration};
use super::{Inner, MANAGER, supervisor};
use crate::client::PluginClient;
use crate::error::{ActivateError, RegisterError};
use crate::message::Name;
use crate::payload::Payload;
use crate::plugin::{CAN_DEACTIVATE, Instance};
use crate::profile::Profile;
use crate::runtime;
use crate::sync::lock;

impl Inner {
    pub(super) fn register(self: &Arc<Self>, registration: Registration) -> Result<PluginClient, RegisterError> {
        let Registration { profile, place, options } = registration;
        if profile.name.is_empty() || profile.name.contains('.') {
            return Err(RegisterError::BadName(profile.name));
        }
        let options = options.unwrap_or_else(|| (self.plugin_options)(&profile));
        let name = Name::from(profile.name.as_str());
        let host = match place {
            Place::Here(plugin) => Host::Native(Arc::new(Instance::new(*plugin))),
            Place::Behind { connector, url } => {
                Host::External(Arc::new(External::new(name.clone(), url, connector, &options)))
            }
        };
        let mut taken = false;
        // Held until the plugin is in: the emitter of a stranger may be forgotten at any time.
        let mut emitters = lock(&self.emitters);
        let emitter = Arc::clone(emitters.entry(name.clone()).or_default());
        let entry = Arc::new(Entry::new(profile.clone(), host, options, emitter));
        self.registry.rcu(|registry| {
            taken = registry.contains_key(&name);
            let mut registry = Registry::clone(registry);
            registry.entry(name.clone()).or_insert_with(|| Arc::clone(&entry));
            registry
        });
        drop(emitters);
        if taken {
            return Err(RegisterError::AlreadyRegistered(profile.name));
        }
        let client = PluginClient::in_engine(name.clone(), Arc::downgrade(self), Arc::downgrade(&entry));
        if name != MANAGER {
            self.policy.profile_added(&profile);
            self.manager_emits("profileAdded", &profile);
        }
        if let Some(hook) = entry.instance().and_then(|instance| instance.plugin.on_registration.clone()) {
            hook();
        }
        if let Some(hook) = &self.on_registration {
            hook(&profile);
        }
        Ok(client)
    }

    /// Activates a plugin in the name of another, if it may.
    pub(super) async fn activate(self: &Arc<Self>, caller: &Profile, name: &str) -> Result<(), ActivateError> {
        let Some(entry) = self.find(name) else { return Err(ActivateError::NotRegistered(name.to_owned())) };
        if entry.is_active() {
            return Ok(());
        }
        if !self.policy.can_activate(caller, &entry.profile(), None).await {
            return Err(no_right(caller, "activate", name));
        }
        self.activate_entry(&entry).await
    }

    /// Activates a plugin, whoever asks: once, however many ask at a time.
    pub(super) async fn activate_entry(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), ActivateError> {
        let _changing = entry.changing.lock().await;
        if entry.is_active() {
            return Ok(());
        }
        // It may have been removed, or the engine dropped, while this waited.
        if !self.find(&entry.name).is_some_and(|known| Arc::ptr_eq(&known, entry)) {
            return Err(ActivateError::NotRegistered(entry.name.to_string()));
        }
        entry.set_status(Status::Activating);
        let mut undo = UndoActivation { engine: self, entry: Some(entry) };
        let methods = match &entry.host {
            Host::Native(instance) => {
                if let Some(hook) = &instance.plugin.on_activation {
                    let within = entry.options.activation_timeout;
                    let client =
                        PluginClient::in_engine(entry.name.clone(), Arc::downgrade(self), Arc::downgrade(entry));
                    let name = entry.name.to_string();
                    // Whoever asks may be another plugin's link, which must not end for it.
                    let hook = AssertUnwindSafe(async { hook(client).await }).catch_unwind();
                    match runtime::timeout(within, pin!(hook)).await {
                        Some(Ok(())) => {}
                        Some(Err(_)) => return Err(ActivateError::HookPanicked(name)),
                        None => return Err(ActivateError::Hook { name, within }),
                    }
                }
                None
            }
            Host::External(external) => supervisor::start(Arc::downgrade(self), entry, external).await?,
        };
        let told = methods.is_some();
        if let Some(methods) = methods {
            entry.set_methods(methods);
        }
        entry.set_status(Status::Active);
        // The engine may have been dropped meanwhile, before there was anything to end. An engine always has its manager.
        if self.find(MANAGER).is_none() {
            if let Some(external) = entry.external() {
                external.abort();
            }
            return Err(ActivateError::EngineGone);
        }
        undo.entry = None;
        let profile = entry.profile();
        self.policy.plugin_activated(&profile);
        self.manager_emits("pluginActivated", &profile);
        if entry.updated_early.swap(false, Ordering::AcqRel) || told {
            self.manager_emits("profileUpdated", &profile);
        }
        Ok(())
    }

    /// Deactivates a plugin in the name of another, if it may; one that is unknown or inactive is so already, and the
    /// manager stays.
    pub(super) async fn deactivate(self: &Arc<Self>, caller: &Profile, name: &str) -> Result<(), ActivateError> {
        let Some(entry) = self.find(name) else { return Ok(()) };
        if !entry.is_active() || entry.name == MANAGER {
            return Ok(());
        }
        let itself = caller.name == name;
        if caller.name != MANAGER {
            let allowed = self.policy.can_deactivate(caller, &entry.profile()).await
                && (itself || self.plugin_agrees(caller, name).await);
            if !allowed {
                return Err(no_right(caller, "deactivate", name));
            }
        }
        self.deactivate_entry(&entry, itself).await;
        Ok(())
    }

    async fn plugin_agrees(self: &Arc<Self>, caller: &Profile, name: &str) -> bool {
        let Some(manager) = self.find(MANAGER) else { return false };
        let args = Payload::new((caller.clone(),));
        match self.call(&manager, name, CAN_DEACTIVATE, args).await.map(Payload::read::<bool>) {
            Ok(Ok(agrees)) => agrees,
            Ok(Err(error)) => {
                tracing::warn!(plugin = name, %error, "its answer to canDeactivate is neither true nor false");
                false
            }
            Err(error) => {
                tracing::warn!(plugin = name, %error, "it did not answer canDeactivate");
                false
            }
        }
    }

    async fn deactivate_entry(self: &Arc<Self>, entry: &Arc<Entry>, asked_by_itself: bool) {
        let _changing = entry.changing.lock().await;
        if !entry.is_active() {
            return;
        }
        if let Host::Native(instance) = &entry.host
            && let Some(hook) = &instance.plugin.on_deactivation
        {
            let client = PluginClient::in_engine(entry.name.clone(), Arc::downgrade(self), Arc::downgrade(entry));
            let limit = entry.options.activation_timeout;
            if runtime::timeout(limit, hook(client)).await.is_none() {
                tracing::warn!(plugin = &*entry.name, ?limit, "its deactivation hook did not end and was given up");
            }
        }
        self.silence(entry);
        if let Some(external) = entry.external() {
            external.outbox.stop();
        }
        let profile = entry.profile();
        self.policy.plugin_deactivated(&profile);
        self.manager_emits("pluginDeactivated", &profile);
        // A plugin that deactivates itself asks over its own link, which cannot close while it is waited for; whoever
        // activates it next will wait.
        if let Some(external) = entry.external()
            && !asked_by_itself
        {
            supervisor::stopped(external).await;
            external.state.send_replace(LinkState::Inactive);
        }
    }

    /// From here on the plugin neither acts nor is called, and hears nothing.
    fn silence(&self, entry: &Entry) {
        entry.set_status(Status::Inactive);
        entry.end_calls();
        self.forget_events(entry);
    }

    pub(super) async fn remove(self: &Arc<Self>, name: &str) {
        let Some(entry) = self.find(name).filter(|entry| entry.name != MANAGER) else { return };
        // First of all: whoever waits may be a call of this plugin's, which ends with its link.
        self.registry.rcu(|registry| {
            let mut registry = Registry::clone(registry);
            registry.remove(name);
            registry
        });
        self.deactivate_entry(&entry, false).await;
        self.forget_stranger(&entry.name);
    }

    /// Deactivates all plugins in order; the manager stays, to tell of it.
    pub(super) async fn shutdown(self: &Arc<Self>) {
        let entries: Vec<_> = self.registry.load().values().filter(|entry| entry.name != MANAGER).cloned().collect();
        futures_util::future::join_all(entries.iter().map(|entry| self.deactivate_entry(entry, false))).await;
    }

    /// Ends everything at once.
    pub(super) fn abort(&self) {
        for entry in self.registry.swap(Arc::default()).values() {
            self.silence(entry);
            if let Some(external) = entry.external() {
                external.abort();
            }
        }
        lock(&self.emitters).clear();
    }
}

fn no_right(caller: &Profile, what: &'static str, name: &str) -> ActivateError {
    ActivateError::NoRight { caller: caller.name.clone(), what, name: name.to_owned() }
}

/// An activation that fails, or is given up, leaves the plugin as inactive as it was.
struct UndoActivation<'a> {
    engine: &'a Inner,
    entry: Option<&'a Arc<Entry>>,
}

impl Drop for UndoActivation<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            self.engine.silence(entry);
            entry.updated_early.store(false, Ordering::Release);
        }
    }
}
