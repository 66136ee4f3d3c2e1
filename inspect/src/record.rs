//! One thing that happened in an engine, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One thing that happened in an engine: a line of a recording, an entry of the recent messages, an item of the page's feed.
///
/// Which members are present follows from [`kind`](Record::kind). As JSON, absent members are omitted, and unknown members
/// are ignored when a record is read.
#[serde_with::skip_serializing_none]
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Record {
    /// Counts the records of one capture from 1. A gap means that records were missed.
    pub seq: u64,
    /// Microseconds since the capture began, by a monotonic clock.
    pub at: u64,
    /// What happened.
    pub kind: Kind,
    /// `Message`, `Link`, `BadFrame`: the plugin behind the link.
    pub plugin: Option<Box<str>>,
    /// `Message`, `Link`, `BadFrame`: the replica behind the link, if the plugin has replicas. Of a `Link`, absent for the
    /// links of all replicas together. `CallStarted`: the replica that runs the call.
    pub replica: Option<Box<str>>,
    /// `Message`: the direction.
    pub direction: Option<Direction>,
    /// Calls: their number, the same in all records of a call.
    pub call: Option<u64>,
    /// Calls: the caller. `Event`: the emitter.
    pub from: Option<Box<str>>,
    /// Calls: the target as the caller named it.
    pub to: Option<Box<str>>,
    /// Calls: the method. `Event`: the event.
    pub key: Option<Box<str>>,
    /// `Event`: the number of subscriptions that receive it.
    pub listeners: Option<usize>,
    /// `CallStarted`, `CallEnded`: microseconds in the queue.
    pub waited: Option<u64>,
    /// `CallEnded`: microseconds running; absent if the call did not run.
    pub ran: Option<u64>,
    /// `CallEnded`: how.
    pub outcome: Option<Outcome>,
    /// `Link`: the state, as `LinkState` displays it. `BadFrame`: why the frame cannot be read.
    pub text: Option<Box<str>>,
    /// `Message`: the message as on the wire. `CallQueued`, `Event`: the arguments. `CallEnded`: the result or the error.
    pub data: Option<Box<RawValue>>,
    /// The length of the data in bytes, approximately for values, if they are not kept whole. Then `data` is a JSON string with
    /// their beginning, or a message without its payload, or absent.
    pub cut: Option<usize>,
    /// `Missed`: how many records are missing here, whose numbers are left out.
    pub missed: Option<u64>,
}

/// What happened: see [`connector_core::Observation`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Kind {
    /// A message was passed to a link, or received from it.
    #[default]
    Message,
    /// A plugin calls a method of another.
    CallQueued,
    /// The call left the queue, and runs.
    CallStarted,
    /// The call ended.
    CallEnded,
    /// A plugin emits an event.
    Event,
    /// The state of a plugin's link changed.
    Link,
    /// A received frame is not a message.
    BadFrame,
    /// Records are missing, because they came faster than they were written.
    Missed,
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// From the engine to the plugin.
    ToPlugin,
    /// From the plugin to the engine.
    FromPlugin,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// With a result.
    Returned,
    /// With an error, of the method or of the engine.
    Failed,
    /// The caller dropped it.
    Dropped,
}
