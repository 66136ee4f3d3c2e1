//! The sessions of a plugin in a recording, as steps for one of its ends.

use std::collections::HashMap;

use connector_core::{Action, Id, Message};
use indexmap::IndexSet;

use super::ReplayError;
use crate::record::{Direction, Kind};
use crate::recording::{Line, Recording};

/// Which end of the link is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Engine,
    Plugin,
}

/// What the played end does next: sends a message, or waits for one.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: Line,
    /// In microseconds, as recorded.
    pub(super) at: u64,
    pub(super) sends: bool,
    pub(super) message: Message,
}

pub(super) type Session = Vec<Step>;

/// The method of the link's own handshake.
const HANDSHAKE: &str = "handshake";
/// The id of the first handshake of each session of a native engine.
const FIRST_HANDSHAKE: i64 = -2;

/// The sessions of a plugin, and how many of its messages are of a session before them, whose handshake is not recorded.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) complete: Vec<Session>,
    pub(super) skipped: u64,
}

/// A plugin's link, or that of one of its replicas, whose messages are recorded between those of the others.
#[derive(Default)]
struct Track {
    /// The number of its session.
    session: Option<usize>,
    /// Messages after the link's state has changed: of the session before if it was still closing, else of the next one.
    between: Option<Session>,
}

/// Reads the sessions of a plugin. Each replica has its own.
///
/// # Errors
/// The recording cannot be read, or not be replayed.
pub(super) fn sessions(recording: &mut Recording, plugin: &str, end: End) -> Result<Sessions, ReplayError> {
    let (mut sessions, mut others) = (Vec::<Session>::new(), IndexSet::<Box<str>>::new());
    let mut tracks = HashMap::<Option<Box<str>>, Track>::new();
    let (mut skipped, mut first_skipped) = (0, None);
    for entry in recording {
        let (line, record) = entry?;
        if record.kind == Kind::Missed {
            return Err(ReplayError::Missed { line, records: record.missed.unwrap_or_default() });
        }
        if let Some(name) = record.plugin.as_ref().filter(|name| ***name != *plugin) {
            if !others.contains(name) {
                others.insert(name.clone());
            }
            continue;
        }
        match (record.kind, record.direction) {
            (Kind::Link, _) if record.text.as_deref() != Some("up") => {
                tracks.entry(record.replica).or_default().between = Some(Session::new());
            }
            (Kind::Message, Some(_)) if record.plugin.is_none() => {
                return Err(ReplayError::NotAMessage { line, reason: "it names no plugin".to_owned() });
            }
            (Kind::Message, Some(direction)) => {
                let Some(data) = record.data.filter(|_| record.cut.is_none()) else {
                    return Err(ReplayError::Incomplete { line });
                };
                let message = Message::decode_copied(data.get().as_bytes())
                    .map_err(|error| ReplayError::NotAMessage { line: line.clone(), reason: error.to_string() })?;
                let sends = (direction == Direction::ToPlugin) == (end == End::Engine);
                let is_first = direction == Direction::ToPlugin && is_first_handshake(&message);
                let step = Step { line, at: record.at, sends, message };
                let track = tracks.entry(record.replica).or_default();
                if is_first {
                    track.session = Some(sessions.len());
                    sessions.push(track.between.take().unwrap_or_default());
                }
                match (&mut track.between, track.session) {
                    (Some(between), _) => between.push(step),
                    (None, Some(session)) => sessions[session].push(step),
                    (None, None) => {
                        skipped += 1;
                        first_skipped.get_or_insert(step.line);
                    }
                }
            }
            _ => {}
        }
    }
    let plugin = plugin.to_owned();
    match (sessions.is_empty(), first_skipped) {
        (false, _) => {}
        (true, Some(line)) => return Err(ReplayError::NoHandshake { line, plugin }),
        (true, None) => {
            let others = others.into_iter().map(String::from).collect();
            return Err(ReplayError::NoSuchPlugin { plugin, others });
        }
    }
    for Track { session, between } in tracks.into_values() {
        match (session, between.unwrap_or_default()) {
            (Some(session), between) => sessions[session].extend(between),
            (None, between) => skipped += between.len() as u64,
        }
    }
    sessions.iter_mut().for_each(keep_first_handshake);
    Ok(Sessions { complete: sessions, skipped })
}

/// Removes prompts, and all handshakes and their answers but the first: they depend on the time, and the player answers them
/// as they come.
fn keep_first_handshake(session: &mut Session) {
    let mut is_answered = false;
    session.retain_mut(|Step { message, .. }| match message.action {
        Action::Request => !is_handshake(message) || is_first_handshake(message),
        Action::Response if is_handshake(message) && number(message).is_some_and(|id| id <= FIRST_HANDSHAKE) => {
            message.id = Some(FIRST_HANDSHAKE.into());
            !std::mem::replace(&mut is_answered, true)
        }
        _ => true,
    });
}

pub(super) fn is_handshake(message: &Message) -> bool {
    message.key.as_deref() == Some(HANDSHAKE)
}

fn is_first_handshake(message: &Message) -> bool {
    message.action == Action::Request && is_handshake(message) && number(message) == Some(FIRST_HANDSHAKE)
}

/// The id by which a response is found.
pub(super) fn number(message: &Message) -> Option<i64> {
    message.id.as_ref().and_then(Id::number)
}

/// The id of the `count`th further handshake of an engine.
pub(super) fn repeated_handshake(count: i64) -> Id {
    (FIRST_HANDSHAKE - count).into()
}

/// Whether this answers a handshake that the recording does not have.
pub(super) fn answers_repeated_handshake(message: &Message) -> bool {
    message.action == Action::Response && number(message).is_some_and(|id| id < FIRST_HANDSHAKE)
}
