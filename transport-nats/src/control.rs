//! What the ends say to each other outside of a session: JSON objects. Unknown members are ignored, so that later versions
//! can add some.

use crate::config::{MAX_WINDOW, MIN_WINDOW};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version of the session's frames.
pub(crate) const VERSION: u32 = 1;

/// The least `max_payload` of a server: what is said outside of a session must fit.
const MIN_PAYLOAD: usize = 1024;
/// Longest text that is read.
const MAX: usize = 4096;

/// To `….open`: what the engine asks for. The answer goes to the session's `up` subject.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    /// A session, with the engine's limits.
    Open(Terms),
    /// A sign of life, to a replica's own subject.
    Probe {},
}

/// What one end accepts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terms {
    pub(crate) version: u32,
    /// Its largest message, in bytes.
    pub(crate) max_message: usize,
    /// How much it may be sent before it has read it.
    pub(crate) window: usize,
    /// Its server's largest payload.
    pub(crate) max_payload: usize,
}

/// From a replica.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// The session is open.
    Opened {
        replica: String,
        #[serde(flatten)]
        terms: Terms,
    },
    /// It is not; another replica may be asked. At once if this one is `stopping`: any replica is another one then.
    Refused {
        replica: String,
        reason: String,
        #[serde(default)]
        stopping: bool,
    },
    /// The replica lives.
    Replica(Replica),
}

/// A replica, as it answers a discovery or a probe.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replica {
    pub(crate) id: String,
    /// The number of its sessions.
    pub(crate) sessions: usize,
    /// Whether it accepts no more sessions, because it stops.
    pub(crate) draining: bool,
}

/// To `….announce`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Announcement {
    /// A replica serves from now on.
    Come { replica: String },
    /// A replica accepts no more sessions, finishes its calls, and closes its sessions.
    Drain { replica: String },
    /// A replica serves no more.
    Gone { replica: String },
}

pub(crate) fn write(value: &impl Serialize) -> Bytes {
    // Strings, numbers and booleans can always be written.
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// `None` if it is not such an object.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(text: &[u8]) -> Option<T> {
    (text.len() <= MAX).then(|| serde_json::from_slice(text).ok()).flatten()
}

impl Terms {
    /// Those of this end.
    pub(crate) fn of(config: &crate::NatsConfig, max_payload: usize) -> Terms {
        Terms { version: VERSION, max_message: config.max_message, window: config.window, max_payload }
    }

    /// Why no session can work under these terms of the other end.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.version != VERSION {
            let version = self.version;
            return Some(format!("the other end speaks version {version} of the session's frames, this one {VERSION}"));
        }
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&self.window) || self.max_message == 0 {
            return Some("the other end's limits are out of range".to_owned());
        }
        (self.max_payload < MIN_PAYLOAD).then(|| {
            let max = self.max_payload;
            format!("the NATS server's max_payload is {max} bytes: set at least {MIN_PAYLOAD}")
        })
    }
}
