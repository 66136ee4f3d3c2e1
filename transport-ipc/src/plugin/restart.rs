//! Restart policy: whether a program that has ended is started again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connector_core::ConnectError;
use thiserror::Error;
use tokio::time::Instant;

use super::process::ChildEnd;

/// When to restart a program that has ended on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Restart {
    /// Never: it stays down until the plugin is activated again.
    Never,
    /// Unless it ended with exit code 0.
    #[default]
    OnFailure,
    /// However it ended.
    Always,
}

/// How a program has ended since the plugin was activated. Its links update this.
#[derive(Debug, Clone)]
pub(super) struct History {
    restart: Restart,
    budget: (u32, Duration),
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    ends: VecDeque<Instant>,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    success: bool,
    how: String,
    /// `None` if it was killed because its link was dropped.
    end: Option<ChildEnd>,
}

/// Why a program is not started again, and how it ended the last time.
#[derive(Debug, Error)]
#[error("{why}")]
pub(super) struct StaysDown {
    why: String,
    pub(super) end: Option<ChildEnd>,
}

impl History {
    pub(super) fn new(restart: Restart, budget: (u32, Duration)) -> History {
        History { restart, budget, record: Arc::default() }
    }

    pub(super) fn clear(&self) {
        *self.record() = Record::default();
    }

    /// Records that the program ended on its own.
    pub(super) fn ended(&self, end: &ChildEnd) {
        self.note(Last { success: end.is_success(), how: end.how(), end: Some(end.clone()) });
    }

    /// Records that it was killed because its link was dropped.
    pub(super) fn killed(&self) {
        let how = "the program was killed because its link was dropped".to_owned();
        self.note(Last { success: false, how, end: None });
    }

    fn note(&self, last: Last) {
        let mut record = self.record();
        record.ends.push_back(Instant::now());
        record.last = Some(last);
    }

    /// `is_script` is whether an interpreter runs it.
    ///
    /// # Errors
    /// It stays down; the text gives the reason.
    pub(super) fn may_start(&self, is_script: bool) -> Result<(), ConnectError> {
        let mut record = self.record();
        let (crashes, within) = self.budget;
        while record.ends.front().is_some_and(|end| end.elapsed() > within) {
            record.ends.pop_front();
        }
        let Some(last) = &record.last else { return Ok(()) };
        let stays_down = match self.restart {
            Restart::Never => Some("it is not restarted (Restart::Never)".to_owned()),
            Restart::OnFailure if last.success => {
                Some("it is restarted only after a failure (Restart::OnFailure)".to_owned())
            }
            _ if record.ends.len() as u64 >= u64::from(crashes) => {
                Some(format!("it has ended {} times within {within:?}", record.ends.len()))
            }
            _ => None,
        };
        match stays_down {
            Some(why) => Err(ConnectError::given_up(last.explain(&why, is_script))),
            None => Ok(()),
        }
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    fn explain(&self, stays_down: &str, is_script: bool) -> StaysDown {
        let Last { how, end, .. } = self;
        let withheld = end.as_ref().map(ChildEnd::withheld).unwrap_or_default();
        // Not the lines themselves: other plugins see this text.
        let stderr = match end.as_ref().is_some_and(|end| !end.stderr.is_empty()) {
            true => "; its last lines on standard error are in ChildEnd::stderr and in the traces",
            false => "",
        };
        let in_rust = if is_script { "" } else { " In Rust its `main` calls Channel::find and serves." };
        let why = match end.as_ref().is_some_and(|end| end.was_mute) {
            false => format!("{stays_down}; the last time, {how}{withheld}{stderr}"),
            true => format!(
                "{how} without having sent a message (is it a plugin's program, with the right arguments?{in_rust}); \
                 {stays_down}{withheld}{stderr}"
            ),
        };
        StaysDown { why, end: end.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(success: bool, how: &str) -> Last {
        Last { success, how: how.to_owned(), end: None }
    }

    fn history(restart: Restart) -> History {
        History::new(restart, (3, Duration::from_secs(60)))
    }

    #[tokio::test(start_paused = true)]
    async fn each_policy_decides_by_the_last_exit() {
        for (restart, after_success, after_failure) in
            [(Restart::Never, false, false), (Restart::OnFailure, false, true), (Restart::Always, true, true)]
        {
            for (success, expected) in [(true, after_success), (false, after_failure)] {
                let history = history(restart);
                history.may_start(false).unwrap();
                history.note(last(success, "it ended"));
                assert_eq!(history.may_start(false).is_ok(), expected, "{restart:?} after success: {success}");
                history.clear();
                history.may_start(false).unwrap();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_exits_within_the_budget_stop_restarts() {
        let history = history(Restart::Always);
        for _ in 0..2 {
            history.note(last(false, "exited with code 3"));
            history.may_start(false).unwrap();
        }
        history.note(last(false, "exited with code 3"));
        let why = history.may_start(false).unwrap_err().to_string();
        assert!(why.contains("it has ended 3 times within 60s; the last time, exited with code 3"), "{why}");
        tokio::time::sleep(Duration::from_secs(61)).await;
        history.may_start(false).unwrap();
    }
}
