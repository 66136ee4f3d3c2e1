//! The single thread that starts programs.
//!
//! On Linux a child with a parent-death signal dies with the *thread* that started it (`prctl(2)`, `PR_SET_PDEATHSIG`). A
//! runtime's threads may end at any time; this one does not.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Runs `start` on the spawner's thread, within the caller's runtime.
///
/// # Errors
/// The thread does not exist and cannot be started.
pub(super) async fn run<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    static SPAWNER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts programs cannot be started");
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        let thread = std::thread::Builder::new().name("plugin-spawner".to_owned());
        thread.spawn(move || queue.into_iter().for_each(|job| job())).ok().map(|_| jobs)
    });
    let (done, result) = oneshot::channel();
    let runtime = Handle::current();
    let job: Job = Box::new(move || {
        let _entered = runtime.enter();
        // If the caller no longer waits, the started program is dropped.
        let _ = done.send(start());
    });
    spawner.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
    result.await.map_err(|_| gone())
}
