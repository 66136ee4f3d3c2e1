//! The plugin's methods for these measurements.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use connector_core::{CallError, Context, Plugin, PluginClient};

/// The number of pending calls of `hang` in this process.
static HANGING: AtomicUsize = AtomicUsize::new(0);

/// - `relay` calls another plugin `n` times, one after another, and returns the duration in nanoseconds.
/// - `hang` never returns, and `hanging` returns the number of its pending calls.
/// - `park` starts `n` calls of another plugin's `hang`, and returns at once.
/// - `listen` subscribes to a plugin's `tick`. `received` returns the number of events received since its last call.
pub(crate) fn methods(plugin: Plugin) -> Plugin {
    let received = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&received);
    plugin
        .method("relay", |ctx: Context, target: String, n: usize, text: String| async move {
            relay(ctx.client(), &target, n, text).await
        })
        .method("hang", || async {
            HANGING.fetch_add(1, Ordering::Relaxed);
            let _ends = HangEnds;
            std::future::pending::<()>().await;
        })
        .method("hanging", || async { HANGING.load(Ordering::Relaxed) })
        .method("park", |ctx: Context, target: String, n: usize| async move {
            for _ in 0..n {
                let (client, target) = (ctx.client().clone(), target.clone());
                tokio::spawn(async move { client.call::<()>(&target, "hang", ()).await });
            }
        })
        .method("listen", move |ctx: Context, emitter: String| {
            let received = Arc::clone(&counter);
            let listening = ctx.client().on(&emitter, "tick", move |_: String| {
                received.fetch_add(1, Ordering::Relaxed);
            });
            async move { listening }
        })
        .method("received", move || {
            let received = received.swap(0, Ordering::Relaxed);
            async move { received }
        })
}

struct HangEnds;

impl Drop for HangEnds {
    fn drop(&mut self) {
        HANGING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the returned text again, so that only the transport's copies are measured.
pub(super) async fn relay(client: &PluginClient, target: &str, n: usize, text: String) -> Result<u64, CallError> {
    let (began, mut back) = (Instant::now(), text);
    for _ in 0..n {
        back = client.call(target, "echo", (back,)).await?;
    }
    Ok(began.elapsed().as_nanos() as u64)
}
