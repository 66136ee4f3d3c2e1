//! The task that looks after one thread, or task, of a plugin: asks it to end, gives it up, joins it.

use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long dropping what waits may take.
const GRACE: Duration = Duration::from_millis(100);

/// How a plugin's work stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Runs,
    /// It was told to end, and blocks its thread all the same.
    WillNotEnd,
    /// It has ended, and its thread is joined; maybe by a panic, of that text.
    Ended(Option<String>),
}

/// A plugin at work, looked after. Dropping this asks it to end.
pub(super) struct Worker {
    asked: Option<oneshot::Sender<()>>,
    status: watch::Receiver<Status>,
}

/// Sees how a plugin's work ends.
#[derive(Clone)]
pub(super) struct Watch(watch::Receiver<Status>);

impl Worker {
    /// `ended` tells of the work's end; dropping `give_up` drops whatever waits in it.
    pub(super) fn supervise(
        name: &str,
        thread: Option<JoinHandle<()>>,
        mut ended: oneshot::Receiver<Option<String>>,
        give_up: oneshot::Sender<()>,
        exit_timeout: Duration,
    ) -> Worker {
        let (asked, asks) = oneshot::channel::<()>();
        let (tell, status) = watch::channel(Status::Runs);
        let name = name.to_owned();
        tokio::spawn(async move {
            let panic = match select(&mut ended, asks).await {
                Either::Left((panic, _)) => panic,
                Either::Right(_) => match timeout(exit_timeout, &mut ended).await {
                    Ok(panic) => panic,
                    Err(_) => {
                        drop(give_up);
                        given_up(&name, &mut ended, &tell).await
                    }
                },
            };
            if let Some(thread) = thread {
                // It has said that it is at its end, so this does not wait; and what it had to say of a panic is said.
                let _ = thread.join();
            }
            // An error: its runtime is gone, and it with that.
            tell.send_replace(Status::Ended(panic.ok().flatten()));
        });
        Worker { asked: Some(asked), status }
    }

    /// Its link is closed: its time runs.
    pub(super) fn ask_to_end(&mut self) {
        self.asked = None;
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(self.status.clone())
    }
}

async fn given_up(
    name: &str,
    ended: &mut oneshot::Receiver<Option<String>>,
    tell: &watch::Sender<Status>,
) -> Result<Option<String>, oneshot::error::RecvError> {
    if let Ok(panic) = timeout(GRACE, &mut *ended).await {
        return panic;
    }
    tracing::warn!(plugin = name, "it blocks its thread and does not end; the thread stays until it does");
    tell.send_replace(Status::WillNotEnd);
    let panic = ended.await;
    tracing::info!(plugin = name, "it has ended after all");
    panic
}

impl Watch {
    /// Waits for its end, or until it is known that it will not end.
    pub(super) async fn settled(mut self) -> Status {
        let status = self.0.wait_for(|status| *status != Status::Runs).await.map(|status| status.clone());
        // An error: the engine's runtime is gone, and nobody looks any more.
        status.unwrap_or(Status::Ended(None))
    }
}
