//! Starts a plugin in its place.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use connector_core::{ClientConfig, Plugin, connect};
use futures_util::FutureExt;
use futures_util::future::select;
use tokio::sync::oneshot;

use super::work::Work;
use crate::config::{Placement, WorkerConfig};
use crate::link::ChannelLink;

type Make = Arc<dyn Fn() -> Plugin + Send + Sync>;

/// Starts the plugin at the other end of `link`. Has to be called within the engine's runtime.
///
/// # Errors
/// The system has no thread to give.
pub(super) fn start(name: &str, make: Make, link: ChannelLink, config: &WorkerConfig) -> io::Result<Work> {
    let (tell, ended) = oneshot::channel();
    let (give_up, given_up) = oneshot::channel();
    let session = session(link, make, config.client.clone(), given_up);
    let thread = match config.placement {
        Placement::Thread => {
            // The system's names end with a NUL, so one within is a panic.
            let name = name.replace('\0', "");
            let named = std::thread::Builder::new().name(name.clone());
            Some(named.spawn(move || {
                let panic = catch_unwind(AssertUnwindSafe(|| run(&name, session))).err();
                // The last thing it does. If nobody looks after it any more, nobody wants to know.
                let _ = tell.send(panic.map(panic_text));
            })?)
        }
        Placement::Task => {
            tokio::spawn(async move {
                let panic = AssertUnwindSafe(session).catch_unwind().await.err();
                let _ = tell.send(panic.map(panic_text));
            });
            None
        }
    };
    Ok(Work::look_after(name, thread, ended, give_up, config.end_timeout))
}

/// What a thread does. The runtime's end waits for what the plugin has it do on blocking threads.
fn run(name: &str, session: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().thread_name(name).build() {
        Ok(runtime) => runtime.block_on(session),
        // The link goes with the session, and is sought again.
        Err(error) => tracing::error!(plugin = name, %error, "its thread cannot have a runtime"),
    }
}

async fn session(link: ChannelLink, make: Make, config: ClientConfig, given_up: oneshot::Receiver<()>) {
    let (_, session) = connect(Box::new(link), make(), config);
    select(pin!(session), given_up).await;
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
