//! Everything about one plugin.

use connector_core::Profile;
use serde::Serialize;

use super::Server;
use super::sampler::without_secrets;
use crate::statistics::{EventStatistics, LinkEntry, MethodStatistics};

#[derive(Serialize)]
pub(super) struct Details {
    name: String,
    profile: Profile,
    methods: Vec<Method>,
    events: Vec<EventStatistics>,
    links: Vec<LinkEntry>,
}

#[derive(Serialize)]
struct Method {
    exposed: bool,
    #[serde(flatten)]
    statistics: MethodStatistics,
}

/// `None` if no plugin of that name is registered.
pub(super) fn of(server: &Server, plugin: &str) -> Option<Details> {
    let profile = without_secrets(server.engine.manager().profile(plugin)?);
    let known = server.statistics.plugin(plugin);
    let mut called = known.methods;
    let mut methods = Vec::new();
    for name in profile.methods.iter().flatten() {
        let statistics = match called.iter().position(|method| *method.name == **name) {
            Some(at) => called.remove(at),
            None => MethodStatistics::unused(name),
        };
        methods.push(Method { exposed: true, statistics });
    }
    methods.extend(called.into_iter().map(|statistics| Method { exposed: false, statistics }));
    Some(Details { name: plugin.to_owned(), profile, methods, events: known.events, links: known.links })
}
