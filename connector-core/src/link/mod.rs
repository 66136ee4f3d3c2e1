//! Shared by both ends of a link: the endpoint, the queue in front of the link, and the task that drives it.

mod drive;
mod endpoint;
mod message_queue;
mod outbox;
mod pending_call;
mod queue_limits;
mod response_batch;
mod response_queue;
mod stall;
mod task_set;

pub(crate) use drive::{close, drive};
pub(crate) use endpoint::{Echo, Endpoint, Exchange, Outcome, Role};
pub(crate) use message_queue::Queued;
pub(crate) use outbox::{Outbox, wait_while};
pub(crate) use pending_call::{PendingCall, Reply, Withdraw};
pub use queue_limits::QueueLimits;
use response_batch::ResponseBatch;
use response_queue::ResponseQueue;
pub use stall::StallDetector;
use task_set::{Completed, TaskSet};
