//! What a hub tells of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A running hub's sessions, services and solvables, and what it has counted. `Display` gives a readable text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpListing {
    /// Ordered by id.
    pub sessions: Vec<StpListedSession>,
    /// What it has counted.
    pub counters: StpCounters,
}

/// One session of a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpListedSession {
    /// The session's id.
    pub id: String,
    /// In the order in which they registered: the first that solves a request is the one that is asked.
    pub services: Vec<StpListedService>,
}

/// One service of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpListedService {
    /// The name it registered with; another may have the same.
    pub name: String,
    /// What it says it is written in.
    pub language: String,
    /// The machine it says it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// What it solves, in its own order.
    pub solvables: Vec<String>,
    /// Requests that wait for its answer.
    pub waiting: usize,
}

/// What a hub has counted since it was bound; services and sessions are those of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpCounters {
    /// Services that are registered now.
    pub services: u64,
    /// Sessions that have a service now.
    pub sessions: u64,
    /// Informs taken from services, whether anybody solved them or not.
    pub informs: u64,
    /// Requests taken from services, Registers not included.
    pub requests: u64,
    /// Requests and Registers that the hub itself has refused: nobody solves it, no answer in time, the answerer left,
    /// unreadable. An answerer's own refusals do not count.
    pub refusals: u64,
    /// Services that lost their link because they did not read what was sent to them.
    pub slow_closes: u64,
    /// Frames that meant nothing and were dropped.
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
                // What a service says of itself must not steer the terminal it is shown on.
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
