//! The plugin `manager`, and the host's handle to it (docs/protocol.md, section 5.2).

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::bounds::{MAX_CHANGES, check_methods, check_profile};
use super::entry::{Entry, Status};
use super::lifecycle::Change;
use super::location::Location;
use super::policy::decision;
use super::{EngineState, MANAGER, current};
use crate::error::{ActivateError, UpdateError};
use crate::excerpt::{Excerpt, cut};
use crate::plugin::{Context, Plugin};
use crate::profile::Profile;
use crate::wire::Payload;

/// The host's handle to the plugin manager: activates and deactivates plugins, and reads their profiles. Policies and
/// access rules see the host as the plugin `manager`.
#[derive(Clone, Debug)]
pub struct PluginManager(pub(super) Arc<EngineState>);

impl PluginManager {
    /// Activates a plugin. Does nothing if it is active. When this returns `Ok`, calls to the plugin work: a plugin in
    /// this process has finished its activation hook, one behind a connector has answered the handshake.
    ///
    /// State changes of a plugin are carried out one after another, and a request for an activation in progress joins
    /// it. Once polled, an activation finishes even if this future is dropped; to undo it, deactivate the plugin.
    ///
    /// A plugin whose deactivation waits for permission, for example for its own
    /// [`can_deactivate`](crate::Plugin::can_deactivate), is still active. This returns `Ok` then, and the plugin is
    /// deactivated later if that is allowed.
    ///
    /// In an activation hook, activating the hook's own plugin, or one whose activation waits for it, returns `Ok` at
    /// once. The engine recognizes the hook by the task that polls this future. A task spawned by the hook counts as
    /// the host, so a hook must not wait for a task that waits for this.
    ///
    /// # Errors
    /// The plugin is unknown, a rule or policy denies the activation, it cannot be reached, or it does not respond
    /// within [`activation_timeout`](crate::PluginOptions::activation_timeout); it is inactive then. Or it was
    /// deactivated meanwhile ([`ActivateError::Interrupted`]), or its deactivation waits for this activation
    /// ([`ActivateError::Circular`]).
    pub async fn activate(&self, name: &str) -> Result<(), ActivateError> {
        self.0.change_as_host(Change::Activate, name).await
    }

    /// Deactivates a plugin: its deactivation hook runs, calls to it end, its subscriptions end, and its link is closed
    /// gracefully, within the transport's time limit. Does nothing if the plugin is unknown or inactive. An activation
    /// in progress is abandoned or, in this process, its hook finishes and the plugin is deactivated then.
    ///
    /// Once polled, it is carried out even if this future is dropped. In the plugin's own hooks it does not wait: the
    /// deactivation follows when the hook has ended.
    ///
    /// # Errors
    /// An access rule denies it (the policy is not consulted for the host), or the engine or its runtime ended before
    /// the plugin was inactive.
    pub async fn deactivate(&self, name: &str) -> Result<(), ActivateError> {
        self.0.change_as_host(Change::Deactivate, name).await
    }

    /// Whether a plugin is active.
    pub fn is_active(&self, name: &str) -> bool {
        self.0.find(name).is_some_and(|entry| entry.is_active())
    }

    /// A plugin's current profile. Plugins, unlike the host, see its URL without secrets: without user name, password,
    /// query and fragment, and with a path only if it is the `http` or `https` URL of a page.
    pub fn profile(&self, name: &str) -> Option<Profile> {
        self.0.find(name).map(|entry| entry.profile())
    }

    /// All profiles, in no particular order.
    pub fn profiles(&self) -> Vec<Profile> {
        self.0.registry.load().values().map(|entry| entry.profile()).collect()
    }

    /// The profiles of the active plugins, in no particular order.
    pub fn active_profiles(&self) -> Vec<Profile> {
        let registry = self.0.registry.load();
        registry.values().filter(|entry| entry.is_active()).map(|entry| entry.profile()).collect()
    }
}

/// Fields of a profile that only the host determines: a policy may decide by them.
const HOST_FIELDS: [&str; 4] = ["canActivate", "permission", "hash", "kind"];

/// One name or several, as in the published packages.
enum Names {
    One(String),
    Several(Vec<String>),
    TooMany(usize),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Names, E> {
                Ok(Names::One(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while names.len() < MAX_CHANGES {
                    let Some(name) = list.next_element()? else { return Ok(Names::Several(names)) };
                    names.push(name);
                }
                let mut number = names.len();
                while list.next_element::<IgnoredAny>()?.is_some() {
                    number += 1;
                }
                Ok(if number > MAX_CHANGES { Names::TooMany(number) } else { Names::Several(names) })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// The manager as a plugin. Its methods run concurrently, since one may wait for another.
pub(super) fn plugin(engine: &Weak<EngineState>) -> Plugin {
    let get = |engine: &Weak<EngineState>| {
        let engine = engine.clone();
        move || engine.upgrade().ok_or(ActivateError::EngineGone)
    };
    let profile =
        Profile::new(MANAGER).with_events(["pluginActivated", "pluginDeactivated", "profileAdded", "profileUpdated"]);
    let (profiles, updates, activates, deactivates, actives, permissions) =
        (get(engine), get(engine), get(engine), get(engine), get(engine), get(engine));
    Plugin::new(profile)
        .method("getProfile", move |name: String| {
            let engine = profiles();
            async move { Ok::<_, ActivateError>(engine?.find(&name).map(|entry| entry.profile().without_secrets())) }
        })
        .method("updateProfile", move |ctx: Context, update: Payload| {
            let engine = updates();
            async move {
                check_profile(update.size())?;
                let update = update.read::<Option<_>>().map_err(|error| UpdateError::NotAProfile(error.to_string()))?;
                let Some(update) = update else { return Ok(()) };
                let engine = engine.map_err(|error| UpdateError::Denied(error.to_string()))?;
                engine.update_profile(ctx.from(), update).await
            }
        })
        .method("activatePlugin", move |ctx: Context, names: Names| {
            let engine = activates();
            async move { engine?.change_all(Change::Activate, ctx.from(), names).await }
        })
        .method("deactivatePlugin", move |ctx: Context, names: Names| {
            let engine = deactivates();
            async move { engine?.change_all(Change::Deactivate, ctx.from(), names).await }
        })
        .method("isActive", move |name: String| {
            let engine = actives();
            async move { Ok::<_, ActivateError>(engine?.find(&name).is_some_and(|entry| entry.is_active())) }
        })
        .method("canCall", move |from: String, to: String, method: String, message: Option<String>| {
            let engine = permissions();
            async move {
                let engine = engine?;
                let (requester, manager) = (current::caller(), engine.find(MANAGER));
                let about = engine.caller().or(manager).ok_or(ActivateError::EngineGone)?;
                let allowed = async { engine.policy.can_call(&from, &to, &method, message.as_deref()).await };
                let allowed = decision(requester, &about, "the policy's can_call", allowed).await;
                Ok::<_, ActivateError>(allowed == Some(true))
            }
        })
}

impl EngineState {
    pub(super) fn profile_of(&self, name: &str) -> Profile {
        self.find(name).map_or_else(|| Profile::new(name), |entry| entry.profile())
    }

    /// Returns nothing for one name and an empty list for several, as the published manager does. Of several errors,
    /// the first is returned once all changes are done.
    async fn change_all(
        self: &Arc<Self>,
        change: Change,
        caller: &str,
        names: Names,
    ) -> Result<Option<[(); 0]>, ActivateError> {
        let requester = self.caller().or_else(|| self.find(caller));
        let caller = requester.as_ref().map_or_else(|| Profile::new(caller), |requester| requester.profile());
        let (names, several) = match names {
            Names::One(name) => (vec![name], false),
            Names::Several(names) => (names, true),
            Names::TooMany(plugins) => return Err(ActivateError::TooMany { plugins, limit: MAX_CHANGES }),
        };
        // All start at the first poll, so that none is lost because another ends the caller's link.
        let all = names.iter().map(|name| self.change(change, caller.clone(), requester.clone(), name));
        let done = futures_util::future::join_all(all).await;
        done.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(several.then_some([]))
    }

    /// Merges an update into the profile it names, or else the caller's own.
    async fn update_profile(self: &Arc<Self>, from: &str, mut update: Map<String, Value>) -> Result<(), UpdateError> {
        let name = update.entry("name").or_insert_with(|| from.into()).as_str().map(str::to_owned);
        let name = name.ok_or_else(|| UpdateError::NotAProfile("its name is not a string".to_owned()))?;
        let caller = self.caller().or_else(|| self.find(from));
        let found = self.find_for(caller.as_ref(), &name);
        let Some(entry) = found else { return Err(UpdateError::NotRegistered(cut(name).into_owned())) };
        // An empty URL is not a URL. The published manager accepts it and then has none.
        if update.get("url").is_some_and(|url| url.is_null() || url == "") {
            update.remove("url");
        }
        // The form that plugins see is not a change.
        let shown = entry.profile().without_secrets().url;
        if shown.is_some() && update.get("url").and_then(Value::as_str) == shown.as_deref() {
            update.remove("url");
        }
        let itself = caller.as_ref().filter(|caller| Arc::ptr_eq(&caller.plugin(), &entry));
        if let Some(remote) = itself.and_then(|caller| caller.remote()) {
            let current = serde_json::to_value(entry.profile()).unwrap_or_default();
            for field in HOST_FIELDS {
                if update.remove(field).is_some_and(|value| current.get(field) != Some(&value)) {
                    remote.trace_ignored_field(field);
                }
            }
        }
        let by = caller.as_ref().map_or_else(|| Profile::new(from), |caller| caller.profile());
        let current = entry.profile();
        let requester = current::caller();
        let allowed = async { self.policy.can_update_profile(&by, &current, &update).await };
        let allowed = decision(requester, &entry, "the policy's can_update_profile", allowed).await;
        allowed.unwrap_or_else(|| Err(UpdateError::Denied("the host's policy failed".to_owned())))?;
        if let Location::Replicated(_) = &entry.location
            && let Some(methods) = update.remove("methods")
            && let Some(membership) = itself.and_then(|caller| caller.membership())
        {
            // Of each replica apart: a call goes only to those that list its method.
            let methods: Vec<String> = serde_json::from_value(methods)
                .map_err(|error| UpdateError::NotAProfile(cut(error.to_string()).into_owned()))?;
            let checked = check_methods(&methods).and_then(|()| check_methods(&membership.methods_with(&methods)));
            checked.map_err(UpdateError::NotAProfile)?;
            membership.set_methods(methods);
        }
        if let Location::Local(instance) = &entry.location
            && update.contains_key("methods")
        {
            // A plugin in this process exposes exactly the methods in its table, including services.
            update.insert("methods".to_owned(), instance.exposed().into());
        }
        entry.update_profile(|profile| {
            let not_a_profile =
                |error: serde_json::Error| UpdateError::NotAProfile(cut(error.to_string()).into_owned());
            let merged = profile.merged(update.clone()).map_err(not_a_profile)?;
            check_methods(merged.methods.as_deref().unwrap_or_default()).map_err(UpdateError::NotAProfile)?;
            check_profile(Payload::new(merged.clone()).size())?;
            Ok(merged)
        })?;
        self.profile_updated(&entry);
        Ok(())
    }

    /// Announces an updated profile, once the plugin is active.
    pub(super) fn profile_updated(&self, entry: &Arc<Entry>) {
        let entry = entry.plugin();
        match entry.status() {
            Status::Activating => entry.updated_early.store(true, Ordering::Release),
            _ => self.manager_emits("profileUpdated", &entry.profile()),
        }
    }

    pub(super) fn manager_emits(&self, event: &str, profile: &Profile) {
        self.changes.send_replace(());
        self.emit_as_manager(event, Payload::new((profile.clone().without_secrets(),)));
    }

    /// An event in addition to the published ones.
    pub(super) fn announce_link_down(&self, entry: &Entry, why: String) {
        let name = entry.name.to_string();
        self.emit_as_manager(
            "linkDown",
            match entry.membership() {
                None => Payload::new((name, why)),
                Some(membership) => Payload::new((name, why, membership.replica.to_string())),
            },
        );
    }

    /// An event in addition to the published ones.
    pub(super) fn announce_link_up(&self, entry: &Entry) {
        let name = entry.name.to_string();
        self.emit_as_manager(
            "linkUp",
            match entry.membership() {
                None => Payload::new((name,)),
                Some(membership) => Payload::new((name, membership.replica.to_string())),
            },
        );
    }

    fn emit_as_manager(&self, event: &str, args: Payload) {
        if let Some(manager) = self.find(MANAGER)
            && let Err(refusal) = self.emit(&manager, event, args)
        {
            tracing::warn!(event, refusal = %Excerpt::new(refusal), "the manager cannot emit");
        }
    }
}
