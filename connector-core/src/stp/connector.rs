//! The contract of a connector to STP.

use async_trait::async_trait;

use super::error::{StpConnectError, StpDisconnectError, StpInformError, StpRequestError};
use super::handlers::{ErrorHandler, InformHandler, RequestHandler};
use super::service::StpService;
use super::timeout::StpTimeout;

/// A service's connection to Sketch-thru-Plan: the seed's `IStpConnector`, member for member (see the
/// [table](super#the-contract)).
///
/// API messages are opaque strings to a connector, and are passed on unchanged.
///
/// # Contract
/// - **Names**: before the first [`connect`](StpConnector::connect) both names are empty. [`name`](StpConnector::name)
///   is unique among instances and survives reconnects.
/// - **Losses**: a lost connection is reconnected without limit, and registers with the arguments of `connect`, in its
///   previous session. The error handler is called at the loss, and once more if the first reconnect fails. Pending
///   requests end. Meanwhile [`is_connected`](StpConnector::is_connected) is false, and `inform` and `request` fail at
///   once.
/// - **Requests end once**: with the response, a refusal, a timeout or a loss. A late response is dropped.
/// - **Cookies and pending requests** belong to one connection.
/// - **Handlers** may be set at any time, including before `connect`. Requests are answered in order of arrival, one
///   after another, regardless of the requester; a request is abandoned when its timeout has passed. A handler that
///   fails or panics is an error only for its requester.
/// - **Owner**: dropping the connector ends its connection and everything that waits for it.
#[async_trait]
pub trait StpConnector: Send + Sync + 'static {
    /// The base name of the connected service (the seed's `baseName`).
    fn base_name(&self) -> String;

    /// The name of this instance: the base name and a random suffix.
    fn name(&self) -> String;

    /// The machine's id, as given to [`connect`](StpConnector::connect).
    fn machine_id(&self) -> Option<String>;

    /// The id of the current session, once STP has sent it.
    fn session_id(&self) -> Option<String>;

    /// Whether messages can be sent and received: connected, registered and not lost.
    fn is_connected(&self) -> bool;

    /// Connects and registers the service, and returns the id of the session. An existing connection is closed first.
    ///
    /// Dials once: only an established connection is reconnected. Cancel safe: dropping the future aborts the attempt.
    ///
    /// # Errors
    /// STP is unreachable, rejects the service, or does not respond within `timeout`. Nothing continues in the
    /// background.
    async fn connect(&self, service: StpService, timeout: StpTimeout) -> Result<String, StpConnectError>;

    /// Sends queued messages, disconnects, and does not reconnect. Does nothing without a connection. Dropping the
    /// future drops the connection at once.
    ///
    /// # Errors
    /// The connection did not close gracefully within `timeout`; it has ended anyway.
    async fn disconnect(&self, timeout: StpTimeout) -> Result<(), StpDisconnectError>;

    /// Sends a message to every service that solves it. Completes once the message is queued for the connection. There
    /// is no response, and queued messages are lost with the connection. Cancel safe: a message not queued by then is
    /// not sent.
    ///
    /// # Errors
    /// Not connected, too large, or the queue stayed full for `timeout`.
    async fn inform(&self, message: &str, timeout: StpTimeout) -> Result<(), StpInformError>;

    /// Sends a request to the services that solve the message, and waits for the response. Dropping the future abandons
    /// the request.
    ///
    /// # Errors
    /// See [`StpRequestError`].
    async fn request(&self, message: &str, timeout: StpTimeout) -> Result<Vec<String>, StpRequestError>;

    /// Sets the handler of informs, replacing any earlier one.
    fn on_inform(&self, handler: InformHandler);

    /// Sets the handler of requests.
    fn on_request(&self, handler: RequestHandler);

    /// Sets the handler called when the connection is lost.
    fn on_error(&self, handler: ErrorHandler);
}
