//! The pending requests of one connection. Pure: no I/O, no tasks, no clock.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use thiserror::Error;

/// One end of one connection: its cookies and pending requests.
///
/// Each end numbers its own requests, starting at 0. A pending request is an `R`, returned exactly once: by
/// [`answered`](StpSession::answered), [`expire`](StpSession::expire), [`forget`](StpSession::forget) or
/// [`end`](StpSession::end). Deadlines are stored here and not in futures, because a hub has no future per request;
/// `now` is a parameter, so every order of events is tested without a socket or a sleep.
#[derive(Debug)]
pub struct StpSession<R> {
    next: i64,
    max: usize,
    waiting: HashMap<i64, (Instant, R)>,
    deadlines: BTreeSet<(Instant, i64)>,
}

/// The limit of pending requests is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{waiting} requests are pending already: await some of their responses first")]
pub struct StpBusy {
    /// The number of pending requests.
    pub waiting: usize,
}

impl<R> StpSession<R> {
    /// A session of a new connection with at most `max` pending requests.
    pub fn new(max: usize) -> StpSession<R> {
        StpSession { next: 0, max, waiting: HashMap::new(), deadlines: BTreeSet::new() }
    }

    /// The cookie of the next request.
    pub fn next_cookie(&self) -> i64 {
        self.next
    }

    /// Adds a request that is about to be sent, and returns its cookie.
    ///
    /// # Errors
    /// The limit is reached. `reply` is dropped.
    pub fn request(&mut self, reply: R, deadline: Instant) -> Result<i64, StpBusy> {
        if self.waiting.len() >= self.max {
            return Err(StpBusy { waiting: self.waiting.len() });
        }
        let cookie = self.next;
        self.next += 1;
        self.waiting.insert(cookie, (deadline, reply));
        self.deadlines.insert((deadline, cookie));
        Ok(cookie)
    }

    /// The pending request with this cookie. `None` for a late, duplicate or unsolicited response.
    pub fn answered(&mut self, cookie: i64) -> Option<R> {
        let (deadline, reply) = self.waiting.remove(&cookie)?;
        self.deadlines.remove(&(deadline, cookie));
        Some(reply)
    }

    /// The next request whose deadline has passed.
    pub fn expire(&mut self, now: Instant) -> Option<R> {
        let (deadline, cookie) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.answered(cookie)
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Removes abandoned requests; a response to one of them counts as late.
    pub fn forget(&mut self, is_gone: impl Fn(&R) -> bool) {
        let deadlines = &mut self.deadlines;
        self.waiting.retain(|cookie, (deadline, reply)| {
            let gone = is_gone(reply);
            if gone {
                deadlines.remove(&(*deadline, *cookie));
            }
            !gone
        });
    }

    /// Moves the pending requests to a session of their own, in constant time. The cookies of this one continue.
    pub fn split_off(&mut self) -> StpSession<R> {
        let (waiting, deadlines) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.deadlines));
        StpSession { next: self.next, max: self.max, waiting, deadlines }
    }

    /// The connection has ended. Returns all pending requests, in the order in which they were sent.
    pub fn end(&mut self) -> Vec<R> {
        self.deadlines.clear();
        let mut all: Vec<_> = self.waiting.drain().collect();
        all.sort_unstable_by_key(|(cookie, _)| *cookie);
        all.into_iter().map(|(_, (_, reply))| reply).collect()
    }

    /// The number of pending requests.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
