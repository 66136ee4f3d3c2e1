//! The task that supervises one plugin's thread or task: asks it to end, cancels it, joins it.

use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long dropping pending futures may take.
const GRACE: Duration = Duration::from_millis(100);

/// The status of a plugin's thread or task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    /// It was asked to end but still blocks its thread.
    Blocked,
    /// It has ended, and its thread is joined. If it panicked, the panic's text.
    Ended(Option<String>),
}

/// A supervised plugin. Dropping this asks it to end.
pub(super) struct Worker {
    asked: Option<oneshot::Sender<()>>,
    status: watch::Receiver<Status>,
}

/// Observes how a plugin ends.
#[derive(Clone)]
pub(super) struct Watch(watch::Receiver<Status>);

impl Worker {
    /// `ended` resolves when the plugin ends; dropping `give_up` drops its pending futures.
    pub(super) fn supervise(
        name: &str,
        thread: Option<JoinHandle<()>>,
        mut ended: oneshot::Receiver<Option<String>>,
        give_up: oneshot::Sender<()>,
        exit_timeout: Duration,
    ) -> Worker {
        let (asked, asks) = oneshot::channel::<()>();
        let (status_tx, status) = watch::channel(Status::Running);
        let name = name.to_owned();
        tokio::spawn(async move {
            let panic = match select(&mut ended, asks).await {
                Either::Left((panic, _)) => panic,
                Either::Right(_) => match timeout(exit_timeout, &mut ended).await {
                    Ok(panic) => panic,
                    Err(_) => {
                        drop(give_up);
                        cancelled(&name, &mut ended, &status_tx).await
                    }
                },
            };
            if let Some(thread) = thread {
                // The thread has reached its end, so this does not block. A panic was reported already.
                let _ = thread.join();
            }
            // An error means that its runtime is gone, and the plugin with it.
            status_tx.send_replace(Status::Ended(panic.ok().flatten()));
        });
        Worker { asked: Some(asked), status }
    }

    /// Its link is closed, so its exit timeout starts.
    pub(super) fn ask_to_end(&mut self) {
        self.asked = None;
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(self.status.clone())
    }
}

async fn cancelled(
    name: &str,
    ended: &mut oneshot::Receiver<Option<String>>,
    status: &watch::Sender<Status>,
) -> Result<Option<String>, oneshot::error::RecvError> {
    if let Ok(panic) = timeout(GRACE, &mut *ended).await {
        return panic;
    }
    tracing::warn!(
        plugin = name,
        "the plugin blocks its thread and cannot be ended; the thread runs until the plugin returns"
    );
    status.send_replace(Status::Blocked);
    let panic = ended.await;
    tracing::info!(plugin = name, "the blocked plugin has ended");
    panic
}

impl Watch {
    /// Waits until it has ended or is known to be blocked.
    pub(super) async fn settled(mut self) -> Status {
        let status = self.0.wait_for(|status| *status != Status::Running).await.map(|status| status.clone());
        // An error means that the engine's runtime, and so the supervising task, is gone.
        status.unwrap_or(Status::Ended(None))
    }
}
