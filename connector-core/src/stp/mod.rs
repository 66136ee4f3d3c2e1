//! Sketch-thru-Plan: the contract of a service's connection, and what both of its ends are made of.
//!
//! [`StpConnector`] is the contract; `transport-ws` (feature `stp`) implements it over websockets and has a hub to try
//! services against. [`Frame`] and [`StpSession`] are the protocol without I/O (protocol.md, section 3), used at both
//! ends.

mod connector;
mod error;
pub mod frame;
mod handlers;
mod service;
mod session;
mod timeout;

pub use connector::StpConnector;
pub use error::{StpConnectError, StpDisconnectError, StpInformError, StpRequestError};
pub use frame::{Envelope, Frame, FrameError};
pub use handlers::{ErrorHandler, InformHandler, RequestHandler, StpHandlers};
pub use service::{BadService, REGISTER, StpService, unique_name};
pub use session::{StpBusy, StpSession};
pub use timeout::StpTimeout;
