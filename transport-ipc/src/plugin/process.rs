//! The task that looks after one child process: ends it when asked, kills it when forgotten, always reaps it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use process_wrap::tokio::ChildWrapper;
use tokio::sync::watch;

use super::descendants::Mark;

/// How a program ended by itself, and what it said last.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChildEnd {
    /// The program.
    pub program: String,
    /// Its exit code or signal; `None` if it had closed its channel but did not end, and was killed.
    pub status: Option<ExitStatus>,
    /// The last 20 lines of its standard error, each up to 2 KiB.
    pub stderr: Vec<String>,
}

impl ChildEnd {
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

    /// What it said last, to be appended to a text; empty if it said nothing.
    pub(super) fn last_lines(&self) -> String {
        match self.stderr.is_empty() {
            true => String::new(),
            false => format!("; its last lines on standard error:\n{}", self.stderr.join("\n")),
        }
    }
}

impl fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.how(), self.last_lines())
    }
}

impl std::error::Error for ChildEnd {}

/// What is asked of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Nothing,
    /// Its channel has been closed: `TERM` and `KILL` follow if it does not end.
    End,
    Kill,
}

/// A child that is looked after. Dropping this kills it and what it has started.
#[derive(Debug)]
pub(super) struct Child {
    ask: watch::Sender<Ask>,
    /// Set once it has ended and is reaped; within, its status if that is known.
    pub(super) status: watch::Receiver<Option<Option<ExitStatus>>>,
}

impl Child {
    pub(super) fn look_after(mut group: Group, exit_timeout: Duration, term_timeout: Duration) -> Child {
        let (ask, asked) = watch::channel(Ask::Nothing);
        let (ended, status) = watch::channel(None);
        tokio::spawn(async move {
            let status = group.until_ended(asked, exit_timeout, term_timeout).await;
            group.kill();
            if let Some(mark) = group.mark.take() {
                mark.sweep().await;
            }
            ended.send_replace(Some(status));
        });
        Child { ask, status }
    }

    pub(super) fn end(&self) {
        self.ask.send_if_modified(|ask| *ask < Ask::End && std::mem::replace(ask, Ask::End) != Ask::End);
    }

    pub(super) fn kill(&self) {
        self.ask.send_replace(Ask::Kill);
    }
}

/// The process group, or job, and the rest of the program's family. What is left of them is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) child: Leader,
    plugin: Arc<str>,
    mark: Option<Mark>,
}

/// The program itself, which is reaped even where no runtime is left to do it.
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

/// How long a killed program may take to end.
const REAP: Duration = Duration::from_secs(10);

impl Drop for Leader {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        // It may have ended just now.
        let _ = child.start_kill();
        if !matches!(child.inner_mut().try_wait(), Ok(None)) {
            return;
        }
        // tokio reaps what is dropped as long as a runtime lives; this may be because its runtime shuts down.
        let reaper = std::thread::Builder::new().name("plugin-reaper".to_owned());
        let started = reaper.spawn(move || {
            let since = std::time::Instant::now();
            while matches!(child.inner_mut().try_wait(), Ok(None)) && since.elapsed() < REAP {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread can be started that waits for a killed program");
        }
    }
}

impl Group {
    pub(super) fn new(child: Box<dyn ChildWrapper>, plugin: Arc<str>, mark: Mark) -> Group {
        Group { child: Leader(Some(child)), plugin, mark: Some(mark) }
    }

    async fn until_ended(
        &mut self,
        mut asked: watch::Receiver<Ask>,
        exit_timeout: Duration,
        term_timeout: Duration,
    ) -> Option<ExitStatus> {
        let ask = tokio::select! {
            status = self.leader_ended() => return status,
            ask = asked_for(&mut asked, Ask::End) => ask,
        };
        if ask == Ask::End {
            if let Some(status) = self.ended_within(exit_timeout, &mut asked).await {
                return status;
            }
            self.terminate();
            if let Some(status) = self.ended_within(term_timeout, &mut asked).await {
                return status;
            }
        }
        self.kill();
        self.leader_ended().await
    }

    /// The end of the leader alone: what it leaves behind in its group is killed with this.
    async fn leader_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.inner_mut().wait().await;
        status.inspect_err(|error| tracing::warn!(plugin = &*self.plugin, %error, "cannot wait for the program")).ok()
    }

    /// `None` when time is up, or it is to be killed at once.
    async fn ended_within(&mut self, limit: Duration, asked: &mut watch::Receiver<Ask>) -> Option<Option<ExitStatus>> {
        tokio::select! {
            status = self.leader_ended() => Some(status),
            () = tokio::time::sleep(limit) => None,
            _ = asked_for(asked, Ask::Kill) => None,
        }
    }

    #[cfg(unix)]
    fn terminate(&self) {
        // It may have ended just now.
        let _ = self.child.signal(rustix::process::Signal::TERM.as_raw());
    }

    /// There is no gentler way.
    #[cfg(not(unix))]
    fn terminate(&self) {}

    fn kill(&mut self) {
        // It may have ended just now.
        let _ = self.child.start_kill();
    }
}

/// What is asked, once it is at least that; if nobody is left to ask, to kill.
async fn asked_for(asked: &mut watch::Receiver<Ask>, least: Ask) -> Ask {
    asked.wait_for(|ask| *ask >= least).await.map_or(Ask::Kill, |ask| *ask)
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
