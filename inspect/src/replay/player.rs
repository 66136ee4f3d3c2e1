//! Plays one end of a recorded session. Pure: no I/O and no clock.

use std::collections::{HashMap, VecDeque};

use connector_core::{Action, Id, LinkEnd, Message, Payload};

use super::Report;
use super::compare::{Difference, is_same};
use super::session::{End, Session, Step, answers_repeated_handshake, is_handshake, number, repeated_handshake};

/// The error of a request that the recording does not have.
const NOT_RECORDED: &str = "the recording has no such call at this point";

/// Steps of a message's kind that it is compared with.
const MAX_COMPARED: usize = 1024;

/// What the played end does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Sends what [`Player::transmit`] returns, at this time of the recording if it is to be kept.
    Send { at: Option<u64> },
    /// Waits for a message, which took this long in the recording, in microseconds.
    Wait { recorded: u64 },
    /// All steps are done.
    Done,
}

#[derive(Debug)]
pub(super) struct Player {
    end: End,
    steps: Session,
    /// Of each step, whether its message was exchanged, or given up.
    is_done: Vec<bool>,
    /// The first step that may not be done.
    next: usize,
    /// Messages outside of the recording.
    replies: VecDeque<Message>,
    /// The peer's ids of its requests, by their recorded ones.
    ids: HashMap<Id, Id>,
    /// Handshakes sent in answer to the plugin's prompts.
    repeated: i64,
    has_secrets: bool,
    report: Report,
}

impl Player {
    pub(super) fn new(end: End, steps: Session, has_secrets: bool) -> Player {
        Player {
            end,
            is_done: vec![false; steps.len()],
            steps,
            next: 0,
            replies: VecDeque::new(),
            ids: HashMap::new(),
            repeated: 0,
            has_secrets,
            report: Report::default(),
        }
    }

    pub(super) fn next(&mut self) -> Next {
        if !self.replies.is_empty() {
            return Next::Send { at: None };
        }
        while let Some(step) = self.steps.get(self.next) {
            match step.sends {
                _ if self.is_done[self.next] => {}
                true if self.answers_nothing(step) => {}
                true => return Next::Send { at: Some(step.at) },
                false => {
                    let before = self.next.checked_sub(1).map_or(step.at, |before| self.steps[before].at);
                    return Next::Wait { recorded: step.at.saturating_sub(before) };
                }
            }
            self.next += 1;
        }
        Next::Done
    }

    /// The number of the step that [`next`](Player::next) is about.
    pub(super) fn step(&self) -> usize {
        self.next
    }

    /// Whether the step would answer a request that did not arrive.
    fn answers_nothing(&self, step: &Step) -> bool {
        let Step { sends, message, .. } = step;
        *sends && message.action == Action::Response && message.id.as_ref().is_some_and(|id| !self.ids.contains_key(id))
    }

    /// The message to send, if [`next`](Player::next) says so.
    pub(super) fn transmit(&mut self) -> Option<Message> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        let mut message = self.steps.get(self.next)?.message.clone();
        if message.action == Action::Response {
            message.id = message.id.and_then(|id| self.ids.get(&id).cloned());
        }
        self.done(self.next);
        Some(message)
    }

    fn done(&mut self, index: usize) {
        self.is_done[index] = true;
        self.report.exchanged += 1;
    }

    /// A message from the peer.
    pub(super) fn receive(&mut self, message: &Message) {
        let found = self.find(message);
        if let Some(index) = found {
            let step = &self.steps[index];
            if message.action == Action::Request
                && let (Some(recorded), Some(id)) = (&step.message.id, &message.id)
            {
                self.ids.insert(recorded.clone(), id.clone());
            }
            if !is_same(&step.message, message, self.has_secrets) {
                let difference = self.difference(index, Some(message));
                self.report.add(difference);
            }
            return self.done(index);
        }
        match (self.end, message.action) {
            (_, Action::Request) if is_handshake(message) => self.repeat_handshake(message),
            (End::Engine, _) if answers_repeated_handshake(message) => {}
            _ => {
                self.report.add(Difference::not_recorded(message));
                if message.action == Action::Request {
                    let error = Some(Box::new(Payload::new(NOT_RECORDED.to_owned())));
                    self.replies.push_back(Message { error, ..answer(message) });
                }
            }
        }
    }

    /// The step that a message belongs to: of the next ones of its kind the first with the same content, else the first.
    fn find(&self, message: &Message) -> Option<usize> {
        let waiting =
            self.steps.iter().enumerate().skip(self.next).filter(|(index, step)| {
                !step.sends && !self.is_done[*index] && self.is_same_kind(&step.message, message)
            });
        let waiting = waiting.take(MAX_COMPARED);
        let mut first = None;
        for (index, step) in waiting {
            if is_same(&step.message, message, self.has_secrets) {
                return Some(index);
            }
            first.get_or_insert(index);
        }
        first
    }

    fn is_same_kind(&self, recorded: &Message, got: &Message) -> bool {
        recorded.action == got.action
            && match (recorded.action, &recorded.id) {
                (Action::Response, _) => number(recorded) == number(got),
                (Action::Cancel, Some(id)) => got.id.as_ref().is_some_and(|got| self.ids.get(id) == Some(got)),
                _ => recorded.name == got.name && recorded.key == got.key,
            }
    }

    /// Answers a prompt of the plugin, or a handshake of the engine, as the recorded end did the first time.
    fn repeat_handshake(&mut self, message: &Message) {
        let recorded = self.steps.iter().find(|step| step.sends && is_handshake(&step.message));
        let Some(mut reply) = recorded.map(|step| step.message.clone()) else { return };
        reply.id = match self.end {
            End::Engine => {
                self.repeated += 1;
                Some(repeated_handshake(self.repeated))
            }
            End::Plugin => message.id.clone(),
        };
        self.replies.push_back(reply);
    }

    /// The message that is waited for does not come.
    pub(super) fn give_up(&mut self) {
        if self.next < self.steps.len() {
            let difference = self.difference(self.next, None);
            self.report.add(difference);
            self.is_done[self.next] = true;
        }
    }

    /// A step, and what arrived in its place.
    fn difference(&self, index: usize, got: Option<&Message>) -> Difference {
        let Step { line, sends, message, .. } = &self.steps[index];
        let is_answered = |step: &&Step| {
            step.sends != *sends && step.message.action == Action::Request && step.message.id == message.id
        };
        let request = match message.action {
            Action::Response => self.steps[..index].iter().rev().find(is_answered),
            _ => None,
        };
        Difference::new(line.clone(), message, request.map(|step| &step.message), got)
    }

    /// A message cannot be sent.
    pub(super) fn unsendable(&mut self, error: String) {
        let (about, expected) = ("the replay".to_owned(), Some("to send a message".to_owned()));
        self.report.add(Difference { line: None, about, expected, got: Some(error) });
    }

    /// The link has ended, or the replay was interrupted. Returns what was exchanged.
    pub(super) fn end(mut self, end: Option<&LinkEnd>) -> Report {
        let left =
            (0..self.steps.len()).filter(|index| !self.is_done[*index] && !self.answers_nothing(&self.steps[*index]));
        let left: Vec<usize> = left.collect();
        if let Some(first) = left.first() {
            let left = left.len();
            let end =
                end.map_or_else(|| "the replay was interrupted".to_owned(), |end| format!("the link ended: {end}"));
            let got = Some(format!("nothing, because {end}; {left} recorded messages were not exchanged"));
            let difference = Difference { got, ..self.difference(*first, None) };
            self.report.add(difference);
        }
        self.report
    }
}

fn answer(request: &Message) -> Message {
    Message {
        id: request.id.clone(),
        name: request.name.clone(),
        key: request.key.clone(),
        ..Message::new(Action::Response)
    }
}

#[cfg(test)]
mod tests;
