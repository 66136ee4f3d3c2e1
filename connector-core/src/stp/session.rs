//! The requests of one connection that wait for their answer. Pure: no I/O, no tasks, no clock.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use thiserror::Error;

/// One end of one connection: its cookies, and what waits for an answer under them.
///
/// Both ends number their own requests, from 0 up. What waits is an `R`, given back exactly once: by
/// [`answered`](StpSession::answered), [`expire`](StpSession::expire), [`forget`](StpSession::forget) or
/// [`end`](StpSession::end). Deadlines are kept here and not in futures, since a hub has no future of the asker's to
/// keep them in; `now` is an argument, so every order of events is tested without a socket or a sleep.
#[derive(Debug)]
pub struct StpSession<R> {
    next: i64,
    most: usize,
    waiting: HashMap<i64, (Instant, R)>,
    deadlines: BTreeSet<(Instant, i64)>,
}

/// As many requests wait on this connection as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{waiting} requests wait for an answer already: wait for some of them first")]
pub struct StpBusy {
    /// How many wait.
    pub waiting: usize,
}

impl<R> StpSession<R> {
    /// A session of a new connection, in which at most `most` requests wait at once.
    pub fn new(most: usize) -> StpSession<R> {
        StpSession { next: 0, most, waiting: HashMap::new(), deadlines: BTreeSet::new() }
    }

    /// Notes a request that is about to be sent; gives its cookie.
    ///
    /// # Errors
    /// As many wait as may. `reply` is dropped.
    pub fn request(&mut self, reply: R, deadline: Instant) -> Result<i64, StpBusy> {
        if self.waiting.len() >= self.most {
            return Err(StpBusy { waiting: self.waiting.len() });
        }
        let cookie = self.next;
        self.next += 1;
        self.waiting.insert(cookie, (deadline, reply));
        self.deadlines.insert((deadline, cookie));
        Ok(cookie)
    }

    /// What waited for the answer with this cookie, if anything still does: a late answer, one that came before and one
    /// that was never asked for give nothing.
    pub fn answered(&mut self, cookie: i64) -> Option<R> {
        let (deadline, reply) = self.waiting.remove(&cookie)?;
        self.deadlines.remove(&(deadline, cookie));
        Some(reply)
    }

    /// The next request whose time is up.
    pub fn expire(&mut self, now: Instant) -> Option<R> {
        let (deadline, cookie) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.answered(cookie)
    }

    /// When the next request's time will be up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes back what nobody waits for any more; an answer to it will be a late one.
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

    /// The connection has ended: everything that still waited, in the order in which it was asked.
    pub fn end(&mut self) -> Vec<R> {
        self.deadlines.clear();
        let mut all: Vec<_> = self.waiting.drain().collect();
        all.sort_unstable_by_key(|(cookie, _)| *cookie);
        all.into_iter().map(|(_, (_, reply))| reply).collect()
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
