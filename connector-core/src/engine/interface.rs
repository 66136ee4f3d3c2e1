//! What may be called at a plugin.

use smallvec::SmallVec;

use super::bounds::quoted_list;
use super::location::Location;
use crate::plugin::{CAN_DEACTIVATE, Handler};
use crate::profile::Profile;
use crate::wire::Name;

// PERF: the methods come first, and up to four are inline: see `Entry`.
/// A plugin's profile, with its methods prepared for lookup.
#[repr(C)]
pub(super) struct Interface {
    /// Sorted by name.
    methods: SmallVec<[Exposed; 4]>,
    pub(super) profile: Profile,
}

/// A method that may be called.
#[derive(Clone)]
pub(super) struct Exposed {
    /// As stored here.
    pub(super) name: Name,
    /// Set if the plugin is in this process and the method does not belong to a service.
    pub(super) handler: Option<Handler>,
}

impl Interface {
    pub(super) fn new(profile: Profile, location: &Location) -> Interface {
        let handler = |method: &str| match location {
            Location::Local(instance) => instance.handler(method),
            Location::Remote(_) | Location::Replicated(_) => None,
        };
        let exposed = |method: &String| Exposed { name: method.as_str().into(), handler: handler(method) };
        let mut methods: SmallVec<[Exposed; 4]> = profile.methods.iter().flatten().map(exposed).collect();
        methods.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Interface { methods, profile }
    }

    fn method(&self, method: &str) -> Option<&Exposed> {
        let at = self.methods.binary_search_by(|exposed| exposed.name.as_str().cmp(method)).ok()?;
        self.methods.get(at)
    }

    /// The method, if it may be called.
    pub(super) fn exposed(&self, method: &str) -> Option<Exposed> {
        let always = || Exposed { name: Name::new_static(CAN_DEACTIVATE), handler: None };
        self.method(method).cloned().or_else(|| (method == CAN_DEACTIVATE).then(always))
    }

    /// Whether the plugin's profile lists the method.
    pub(super) fn lists(&self, method: &str) -> bool {
        self.method(method).is_some()
    }

    /// The list of methods for refusals.
    pub(super) fn exposed_list(&self) -> String {
        let always = (!self.lists(CAN_DEACTIVATE)).then_some(CAN_DEACTIVATE);
        let methods = self.profile.methods.iter().flatten().map(String::as_str).chain(always);
        quoted_list(methods)
    }
}
