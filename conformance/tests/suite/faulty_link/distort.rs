//! Faults of received messages.

use connector_core::{Action, Message, Payload};
use serde_json::Value;

use super::FaultyLink;
use crate::faulty::Fault;

impl FaultyLink {
    /// Applies the fault to a received message; `None` if it is dropped.
    pub(super) fn distort(&mut self, mut message: Message) -> Option<Message> {
        self.received += 1;
        let json = |message: &Message| message.payload.as_ref().map(|payload| payload.to_json().unwrap());
        let payload = |text: String| Payload::from_json(text).ok();
        match self.fault {
            Fault::DropsSome if self.received.is_multiple_of(50) => return None,
            Fault::DropsEqual => {
                let text = String::from_utf8(message.encode().unwrap()).unwrap();
                if self.last.replace(text.clone()) == Some(text) {
                    return None;
                }
            }
            Fault::LosesTheLastOf16Bits if self.received == 1 << 16 => return None,
            Fault::Misframes if message.encode().unwrap().len() == 1 << 15 => message.payload = None,
            Fault::KeepsAll => self.kept.push(message.clone()),
            Fault::NewLinkLosesTheFirst if !self.is_first && self.received == 1 => return None,
            Fault::Truncates => {
                if let Some(text) = json(&message).filter(|text| text.len() > 60_000) {
                    let letters = text.iter().filter(|byte| byte.is_ascii_alphanumeric()).take(60_000);
                    let text: String = letters.map(|byte| char::from(*byte)).collect();
                    message.payload = payload(format!("\"{text}\""));
                }
            }
            Fault::AsciiOnly => {
                if let Some(text) = json(&message) {
                    let text = String::from_utf8(text.to_vec()).unwrap();
                    message.payload = payload(text.replace(|c: char| !c.is_ascii(), "?"));
                }
            }
            Fault::Reparses => {
                if let Some(text) = json(&message) {
                    let read = serde_json::from_slice::<Value>(&text).unwrap_or_default();
                    message.payload = Some(Payload::new(read));
                }
            }
            Fault::SortsKeys => {
                if let Some(mut read) = json(&message).and_then(|text| serde_json::from_slice::<Value>(&text).ok()) {
                    read.sort_all_objects();
                    message.payload = Some(Payload::new(read));
                }
            }
            Fault::IgnoresIdZero => message.id = message.id.filter(|id| *id != 0.into()),
            Fault::WrongId if message.action == Action::Response && number(&message) > Some(2) => {
                message.id = number(&message).map(|id| (id ^ 1).into());
            }
            Fault::LosesRequestInfo => message.request_info = None,
            Fault::NullIsMissing => {
                message.payload = message.payload.filter(|payload| &payload.to_json().unwrap()[..] != b"null");
            }
            Fault::DropsCancels if message.action == Action::Cancel => return None,
            _ => {}
        }
        Some(message)
    }
}

fn number(message: &Message) -> Option<i64> {
    message.id.as_ref()?.number()
}
