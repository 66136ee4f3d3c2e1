//! Whether a program that has ended is started again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connector_core::LinkEnd;
use tokio::time::Instant;

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
}

impl History {
    pub(super) fn new(restart: Restart, budget: (u32, Duration)) -> History {
        History { restart, budget, past: Arc::default() }
    }

    pub(super) fn clear(&self) {
        *self.past() = Past::default();
    }

    /// The program has ended by itself.
    pub(super) fn ended(&self, success: bool, how: String) {
        let mut past = self.past();
        past.ends.push_back(Instant::now());
        past.last = Some(Last { success, how });
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
            Restart::Never => Some("it is not to be started again".to_owned()),
            Restart::OnFailure if last.success => Some("it is started again only after a failure".to_owned()),
            _ if past.ends.len() as u64 >= u64::from(crashes) => {
                Some(format!("it has ended {} times within {within:?}", past.ends.len()))
            }
            _ => None,
        };
        match stays_down {
            Some(why) => Err(LinkEnd::GivenUp(format!("{why}; the last time, {}", last.how))),
            None => Ok(()),
        }
    }

    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                history.ended(success, "it ended".to_owned());
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
            history.ended(false, "exited with code 3".to_owned());
            history.may_start().unwrap();
        }
        history.ended(false, "exited with code 3".to_owned());
        let why = history.may_start().unwrap_err().to_string();
        assert!(why.contains("it has ended 3 times within 60s; the last time, exited with code 3"), "{why}");
        tokio::time::sleep(Duration::from_secs(61)).await;
        history.may_start().unwrap();
    }
}
