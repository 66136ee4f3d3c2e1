//! What the plugin's process does for these measurements.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connector_core::{Context, Plugin};

/// `listen` listens to a plugin's `tick`, and `heard` says how many came since it was asked last.
pub(crate) fn methods(plugin: Plugin) -> Plugin {
    let heard = Arc::new(AtomicUsize::new(0));
    let hears = Arc::clone(&heard);
    plugin
        .method("listen", move |ctx: Context, emitter: String| {
            let heard = Arc::clone(&hears);
            let listening = ctx.client().on(&emitter, "tick", move |_: String| {
                heard.fetch_add(1, Ordering::Relaxed);
            });
            async move { listening }
        })
        .method("heard", move || {
            let heard = heard.swap(0, Ordering::Relaxed);
            async move { heard }
        })
}
