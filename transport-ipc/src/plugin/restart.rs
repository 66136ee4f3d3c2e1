//! Whether a program that has ended is started again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connector_core::LinkEnd;
use tokio::time::Instant;

use super::process::ChildEnd;

/// When to start a program again that has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Never: it stays down until the plugin is activated anew.
    Never,
    /// Unless it ended with exit code 0.
    #[default]
    OnFailure,
    /// However it ended.
    Always,
}

/// How a program has fared since the plugin was activated. Its links write to it.
#[derive(Debug, Clone)]
pub(super) struct History {
    restart: Restart,
    budget: (u32, Duration),
    past: Arc<Mutex<Past>>,
}

#[derive(Debug, Default)]
struct Past {
    ends: VecDeque<Instant>,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    success: bool,
    how: String,
    /// The last lines of its standard error, as they are appended to a text.
    stderr: String,
    /// Whether it has sent a message.
    spoke: bool,
}

impl History {
    pub(super) fn new(restart: Restart, budget: (u32, Duration)) -> History {
        History { restart, budget, past: Arc::default() }
    }

    pub(super) fn clear(&self) {
        *self.past() = Past::default();
    }

    /// The program has ended by itself. `spoke` is whether it has sent a message.
    pub(super) fn ended(&self, end: &ChildEnd, spoke: bool) {
        self.note(Last { success: end.is_success(), how: end.how(), stderr: end.last_lines(), spoke });
    }

    /// It was killed, since its link was given up.
    pub(super) fn killed(&self) {
        let how = "the program was killed, since its link was given up".to_owned();
        self.note(Last { success: false, how, stderr: String::new(), spoke: true });
    }

    fn note(&self, last: Last) {
        let mut past = self.past();
        past.ends.push_back(Instant::now());
        past.last = Some(last);
    }

    /// # Errors
    /// It stays down, and why.
    pub(super) fn may_start(&self) -> Result<(), LinkEnd> {
        let mut past = self.past();
        let (crashes, within) = self.budget;
        while past.ends.front().is_some_and(|end| end.elapsed() > within) {
            past.ends.pop_front();
        }
        let Some(last) = &past.last else { return Ok(()) };
        let stays_down = match self.restart {
            Restart::Never => Some("it is not to be started again (Restart::Never)".to_owned()),
            Restart::OnFailure if last.success => {
                Some("it is started again only after a failure (Restart::OnFailure)".to_owned())
            }
            _ if past.ends.len() as u64 >= u64::from(crashes) => {
                Some(format!("it has ended {} times within {within:?}", past.ends.len()))
            }
            _ => None,
        };
        match stays_down {
            Some(why) => Err(LinkEnd::GivenUp(last.told(&why))),
            None => Ok(()),
        }
    }

    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    fn told(&self, stays_down: &str) -> String {
        let Last { how, stderr, .. } = self;
        match self.spoke {
            true => format!("{stays_down}; the last time, {how}{stderr}"),
            false => format!(
                "{how} without having sent a message (is it a plugin's program, with the right arguments? In Rust its \
                 `main` calls Channel::find and serves); {stays_down}{stderr}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(success: bool, how: &str) -> Last {
        Last { success, how: how.to_owned(), stderr: String::new(), spoke: true }
    }

    fn history(restart: Restart) -> History {
        History::new(restart, (3, Duration::from_secs(60)))
    }

    #[tokio::test(start_paused = true)]
    async fn policies() {
        for (restart, after_success, after_failure) in
            [(Restart::Never, false, false), (Restart::OnFailure, false, true), (Restart::Always, true, true)]
        {
            for (success, expected) in [(true, after_success), (false, after_failure)] {
                let history = history(restart);
                history.may_start().unwrap();
                history.note(last(success, "it ended"));
                assert_eq!(history.may_start().is_ok(), expected, "{restart:?} after success: {success}");
                history.clear();
                history.may_start().unwrap();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_ends_in_too_little_time() {
        let history = history(Restart::Always);
        for _ in 0..2 {
            history.note(last(false, "exited with code 3"));
            history.may_start().unwrap();
        }
        history.note(last(false, "exited with code 3"));
        let why = history.may_start().unwrap_err().to_string();
        assert!(why.contains("it has ended 3 times within 60s; the last time, exited with code 3"), "{why}");
        tokio::time::sleep(Duration::from_secs(61)).await;
        history.may_start().unwrap();
    }
}
