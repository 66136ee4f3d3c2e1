//! A hub's description of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A hub's sessions, services, solvables and counters. `Display` formats them for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpListing {
    /// The sessions, ordered by id.
    pub sessions: Vec<StpListedSession>,
    /// The hub's counters.
    pub counters: StpCounters,
}

/// One session of a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpListedSession {
    /// The session's id.
    pub id: String,
    /// The services in order of registration. A request goes to the first that solves it.
    pub services: Vec<StpListedService>,
}

/// One service of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpListedService {
    /// The name it registered with. Names need not be unique.
    pub name: String,
    /// The programming language it claims.
    pub language: String,
    /// The machine it claims to run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// Its solvables, in the order in which it listed them.
    pub solvables: Vec<String>,
    /// The number of requests that await its answer.
    pub waiting: usize,
}

/// Counters since a hub was bound. Services and sessions are current values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpCounters {
    /// Services currently registered.
    pub services: u64,
    /// Sessions that currently have a service.
    pub sessions: u64,
    /// Informs received from services, whether or not a service solves them.
    pub informs: u64,
    /// Requests received from services, not counting Registers.
    pub requests: u64,
    /// Requests and Registers refused by the hub itself: no service solves them, no answer in time, the answering service
    /// left, or not parseable. Refusals by the answering service do not count.
    pub refusals: u64,
    /// Links closed because the service did not read its messages.
    pub slow_closes: u64,
    /// Frames dropped as invalid.
    pub dropped: u64,
}

impl fmt::Display for StpListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StpCounters { services, sessions, informs, requests, refusals, slow_closes, dropped } = self.counters;
        writeln!(f, "sessions: {sessions}, services: {services}")?;
        writeln!(
            f,
            "informs: {informs}, requests: {requests}, refusals: {refusals}, slow closes: {slow_closes}, \
             frames dropped: {dropped}"
        )?;
        for session in &self.sessions {
            writeln!(f, "\nsession {}", session.id.escape_debug())?;
            for service in &session.services {
                // Escaped, so that a service cannot send control sequences to the terminal.
                write!(f, "  {} ({}", service.name.escape_debug(), service.language.escape_debug())?;
                if let Some(machine) = &service.machine_id {
                    write!(f, ", {}", machine.escape_debug())?;
                }
                let solvables: Vec<_> = service.solvables.iter().map(|name| name.escape_debug().to_string()).collect();
                writeln!(f, "): {}", if solvables.is_empty() { "-".to_owned() } else { solvables.join(", ") })?;
            }
        }
        Ok(())
    }
}
