//! Starts a plugin in a thread or a task.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use connector_core::{ClientConfig, LinkEnd, Plugin, PluginPanicked, connect};
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::worker::Worker;
use crate::config::{Placement, WorkerConfig};
use crate::link::ChannelLink;

type Make = Arc<dyn Fn() -> Plugin + Send + Sync>;

/// Starts the plugin at the other end of `link`. Must be called within the engine's runtime.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn spawn(name: &str, make: Make, link: ChannelLink, config: &WorkerConfig) -> io::Result<Worker> {
    let (done, ended) = oneshot::channel();
    let (give_up, given_up) = oneshot::channel();
    let session = session(link, make, config.client.clone(), given_up);
    let thread = match config.placement {
        Placement::Thread => {
            // A NUL in a thread's name would panic.
            let name = name.replace('\0', "");
            let named = std::thread::Builder::new().name(name.clone());
            Some(named.spawn(move || {
                let panic = catch_unwind(AssertUnwindSafe(|| run(&name, session)));
                // Must be the last action. The receiver may be gone.
                let _ = done.send(panic.unwrap_or_else(|panic| Some(panic_text(panic))));
            })?)
        }
        Placement::Task => {
            tokio::spawn(async move {
                let panic = AssertUnwindSafe(session).catch_unwind().await;
                let _ = done.send(panic.unwrap_or_else(|panic| Some(panic_text(panic))));
            });
            None
        }
    };
    Ok(Worker::supervise(name, thread, ended, give_up, config.exit_timeout))
}

/// The body of the thread. Dropping the runtime waits for the plugin's blocking threads.
fn run(name: &str, session: impl Future<Output = Option<String>>) -> Option<String> {
    match tokio::runtime::Builder::new_current_thread().enable_all().thread_name(name).build() {
        Ok(runtime) => runtime.block_on(session),
        // Drops the session and its link, so that the engine reconnects.
        Err(error) => {
            tracing::error!(plugin = name, %error, "cannot build a runtime for its thread");
            None
        }
    }
}

/// Runs the plugin. Returns the text of its panic, if that is how it ended.
async fn session(
    link: ChannelLink,
    make: Make,
    config: ClientConfig,
    given_up: oneshot::Receiver<()>,
) -> Option<String> {
    let (_, session) = connect(Box::new(link), make(), config);
    match select(pin!(session), given_up).await {
        Either::Left((LinkEnd::Lost(error), _)) => error.downcast_ref().map(|PluginPanicked(text)| text.clone()),
        _ => None,
    }
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
