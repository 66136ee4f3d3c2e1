//! The task that supervises one child process: ends it on request, kills it when its handle is dropped, always reaps it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use connector_core::{ActivateError, CallError, ConnectError, LinkEnd, LinkLost};
use process_wrap::tokio::ChildWrapper;
use tokio::sync::watch;

use super::descendants::Mark;
use super::restart::StaysDown;

/// How a program ended on its own, and the last lines of its standard error.
///
/// The lines are for the host, and may contain secrets: `Display` and `Debug`, which other plugins see as the text of an
/// error, do not show them. They are also traced as a warning if the program failed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildEnd {
    /// The program, and the script that it runs, such as `python3 plugin.py`; not its other arguments, which may be secret.
    pub program: String,
    /// Its exit code or signal; `None` if it closed its channel without ending, and was killed.
    pub status: Option<ExitStatus>,
    /// The last 20 lines of its standard error, each up to 2 KiB.
    pub stderr: Vec<String>,
    /// The number of variables of the host's environment that it did not inherit by default
    /// ([`InheritedEnv::Common`](crate::InheritedEnv)), one of which it may have needed.
    pub withheld_env: usize,
    /// Whether it has sent no message.
    pub(super) was_mute: bool,
}

impl ChildEnd {
    /// How the program ended, if that is why a call to its plugin failed.
    ///
    /// ```
    /// use connector_core::{CallError, PluginClient};
    /// use transport_ipc::ChildEnd;
    ///
    /// # async fn example(app: PluginClient) -> Result<(), CallError> {
    /// if let Err(error) = app.call::<()>("printer", "print", ()).await {
    ///     match ChildEnd::of(&error) {
    ///         Some(end) => eprintln!("the printer ended with {:?}: {:?}", end.status, end.stderr),
    ///         None => return Err(error),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn of(error: &CallError) -> Option<&ChildEnd> {
        match error {
            CallError::LinkLost(lost) => match &**lost {
                LinkLost::Observed { end, .. } => ChildEnd::of_link(end),
                _ => None,
            },
            _ => None,
        }
    }

    /// How the program ended, if that is why its plugin was not activated.
    ///
    /// ```
    /// use connector_core::Engine;
    /// use transport_ipc::ChildEnd;
    ///
    /// # async fn example(engine: Engine) {
    /// if let Err(error) = engine.manager().activate("printer").await {
    ///     eprintln!("{error}");
    ///     for line in ChildEnd::of_activation(&error).iter().flat_map(|end| &end.stderr) {
    ///         eprintln!("printer: {line}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn of_activation(error: &ActivateError) -> Option<&ChildEnd> {
        match error {
            ActivateError::Connect { error, .. } => ChildEnd::of_connect(error),
            ActivateError::Link { end, .. } => ChildEnd::of_link(end),
            _ => None,
        }
    }

    /// How the program ended, if that is why its link did, or why there is no other.
    pub fn of_link(end: &LinkEnd) -> Option<&ChildEnd> {
        match end {
            LinkEnd::Lost(error) => error.downcast_ref(),
            LinkEnd::Unreachable(error) => ChildEnd::of_connect(error),
            _ => None,
        }
    }

    fn of_connect(error: &ConnectError) -> Option<&ChildEnd> {
        match error {
            ConnectError::Failed(error) => error.downcast_ref(),
            ConnectError::GivenUp(error) => error.downcast_ref::<StaysDown>()?.end.as_ref(),
            _ => None,
        }
    }

    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    pub(super) fn how(&self) -> String {
        match self.status {
            // `exit status: 3`, `signal: 9 (SIGKILL)`.
            Some(status) => format!("the program {} ended with {status}", self.program),
            None => format!("the program {} closed its channel but did not end, and was killed", self.program),
        }
    }

    /// If it failed before its first message, the number of variables withheld from it, to be appended to a text. A program
    /// that has spoken to the engine has found what it needs to start.
    pub(super) fn withheld(&self) -> String {
        match self.withheld_env {
            many if many > 0 && self.was_mute && !self.is_success() => format!(
                "; {many} variables of the host's environment were withheld: use Program::inherit_env or env if it needs one"
            ),
            _ => String::new(),
        }
    }
}

impl fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.how(), self.withheld())
    }
}

impl fmt::Debug for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildEnd")
            .field("program", &self.program)
            .field("status", &self.status)
            .field("stderr", &format_args!("{} lines", self.stderr.len()))
            .finish()
    }
}

impl std::error::Error for ChildEnd {}

/// A request to the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    None,
    /// Its channel has been closed: `TERM` and `KILL` follow if it does not end.
    End,
    Kill,
}

/// A supervised child. Dropping this kills it and its descendants.
#[derive(Debug)]
pub(super) struct Child {
    request: watch::Sender<Request>,
    /// `Some` once it has ended and is reaped, with its status if that is known.
    pub(super) status: watch::Receiver<Option<Option<ExitStatus>>>,
}

impl Child {
    pub(super) fn supervise(mut group: Group, exit_timeout: Duration, term_timeout: Duration) -> Child {
        let (request, requests) = watch::channel(Request::None);
        let (ended, status) = watch::channel(None);
        tokio::spawn(async move {
            let status = group.until_ended(requests, exit_timeout, term_timeout).await;
            group.kill();
            if let Some(mark) = group.mark.take() {
                mark.sweep().await;
            }
            ended.send_replace(Some(status));
        });
        Child { request, status }
    }

    pub(super) fn end(&self) {
        self.request.send_if_modified(|request| {
            *request < Request::End && std::mem::replace(request, Request::End) != Request::End
        });
    }

    pub(super) fn kill(&self) {
        self.request.send_replace(Request::Kill);
    }
}

/// The process group (or job) and the program's other descendants. Dropping this kills those that remain.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) child: Leader,
    plugin: Arc<str>,
    mark: Option<Mark>,
}

/// The program itself, which is reaped even if no runtime is left to do so.
#[derive(Debug)]
pub(super) struct Leader(Option<Box<dyn ChildWrapper>>);

impl Deref for Leader {
    type Target = dyn ChildWrapper;

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().expect("taken by `drop` alone")
    }
}

impl DerefMut for Leader {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.as_deref_mut().expect("taken by `drop` alone")
    }
}

/// How long to wait for a killed program to end.
const REAP: Duration = Duration::from_secs(10);

impl Drop for Leader {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        // It may have just ended.
        let _ = child.start_kill();
        if !matches!(child.inner_mut().try_wait(), Ok(None)) {
            return;
        }
        // tokio reaps dropped children only while a runtime lives, and this one may be shutting down.
        let reaper = std::thread::Builder::new().name("plugin-reaper".to_owned());
        let started = reaper.spawn(move || {
            let since = std::time::Instant::now();
            while matches!(child.inner_mut().try_wait(), Ok(None)) && since.elapsed() < REAP {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        if let Err(error) = started {
            tracing::warn!(%error, "cannot start a thread to wait for a killed program");
        }
    }
}

impl Group {
    pub(super) fn new(child: Box<dyn ChildWrapper>, plugin: Arc<str>, mark: Mark) -> Group {
        Group { child: Leader(Some(child)), plugin, mark: Some(mark) }
    }

    async fn until_ended(
        &mut self,
        mut requests: watch::Receiver<Request>,
        exit_timeout: Duration,
        term_timeout: Duration,
    ) -> Option<ExitStatus> {
        let request = tokio::select! {
            status = self.leader_ended() => return status,
            request = requested(&mut requests, Request::End) => request,
        };
        if request == Request::End {
            if let Some(status) = self.ended_within(exit_timeout, &mut requests).await {
                return status;
            }
            self.terminate();
            if let Some(status) = self.ended_within(term_timeout, &mut requests).await {
                return status;
            }
        }
        self.kill();
        self.leader_ended().await
    }

    /// Waits for the leader only: the rest of its group is killed when this is dropped.
    async fn leader_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.inner_mut().wait().await;
        status.inspect_err(|error| tracing::warn!(plugin = &*self.plugin, %error, "cannot wait for the program")).ok()
    }

    /// `None` when the limit is reached, or a kill is requested.
    async fn ended_within(
        &mut self,
        limit: Duration,
        requests: &mut watch::Receiver<Request>,
    ) -> Option<Option<ExitStatus>> {
        tokio::select! {
            status = self.leader_ended() => Some(status),
            () = tokio::time::sleep(limit) => None,
            _ = requested(requests, Request::Kill) => None,
        }
    }

    #[cfg(unix)]
    fn terminate(&self) {
        // It may have just ended.
        let _ = self.child.signal(rustix::process::Signal::TERM.as_raw());
    }

    /// There is no equivalent of `TERM` here.
    #[cfg(not(unix))]
    fn terminate(&self) {}

    fn kill(&mut self) {
        // It may have just ended.
        let _ = self.child.start_kill();
    }
}

/// Waits for a request of at least `min`. A dropped sender counts as a request to kill.
async fn requested(requests: &mut watch::Receiver<Request>, min: Request) -> Request {
    requests.wait_for(|request| *request >= min).await.map_or(Request::Kill, |request| *request)
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
