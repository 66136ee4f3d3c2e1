//! The contract of a connector to STP.

use async_trait::async_trait;

use super::error::{StpConnectError, StpDisconnectError, StpInformError, StpRequestError};
use super::handlers::{ErrorHandler, InformHandler, RequestHandler};
use super::service::StpService;
use super::timeout::StpTimeout;

/// A service's connection to Sketch-thru-Plan: the seed's `IStpConnector`, member for member (see the
/// [table](super#the-contract)).
///
/// API messages are opaque strings to a connector: they are handed on as they came.
///
/// # Contract
/// - **Names**: before the first [`connect`](StpConnector::connect) both names are empty. [`name`](StpConnector::name)
///   is unique among instances and stays through losses.
/// - **Losses**: a connection that is lost is dialled again without end and registers with what `connect` was given,
///   in the session it was in; the error handler is told at the loss, and once more if it does not come back at once.
///   Requests under way end. Meanwhile [`is_connected`](StpConnector::is_connected) is false, and `inform` and
///   `request` end at once.
/// - **Requests end once**: as the answer, a refusal, a timeout or a loss. A late answer is dropped.
/// - **Cookies and pending requests** are each connection's own.
/// - **Handlers** may be set at any time, before `connect` too. Requests are answered in order of arrival, one after
///   another, whoever asks; one whose asker's time is up is given up. A handler that fails or panics is an error to its
///   asker alone.
/// - **Owner**: dropping the connector ends its connection and everything that waited on it.
#[async_trait]
pub trait StpConnector: Send + Sync + 'static {
    /// The name of the service that is connected (the seed's `baseName`).
    fn base_name(&self) -> String;

    /// The name of this instance: the base name and a random suffix.
    fn name(&self) -> String;

    /// The machine's id, as given to [`connect`](StpConnector::connect).
    fn machine_id(&self) -> Option<String>;

    /// The id of the session in use, once STP has told it.
    fn session_id(&self) -> Option<String>;

    /// Whether messages can be sent and received: connected, registered and not lost.
    fn is_connected(&self) -> bool;

    /// Connects and registers the service; gives the id of the session in use. A connection there was before is closed
    /// first.
    ///
    /// Dials once: only a connection that was up is dialled again. Cancel safe: dropping the future ends what it had
    /// begun.
    ///
    /// # Errors
    /// Not reachable, refused, or not answered within `timeout`. Nothing goes on in the background then.
    async fn connect(&self, service: StpService, timeout: StpTimeout) -> Result<String, StpConnectError>;

    /// Disconnects, after what was queued has been sent, and stays disconnected. Fine without a connection. Dropping
    /// the future drops the connection at once.
    ///
    /// # Errors
    /// It did not end in order within `timeout`; it has ended all the same.
    async fn disconnect(&self, timeout: StpTimeout) -> Result<(), StpDisconnectError>;

    /// Sends a message to whoever solves it. Done once it is queued for the connection; there is no answer, and what is
    /// queued when the connection is lost is lost. Cancel safe: a message not queued by then never is.
    ///
    /// # Errors
    /// Not connected, too large, or the queue stayed full for `timeout`.
    async fn inform(&self, message: &str, timeout: StpTimeout) -> Result<(), StpInformError>;

    /// Asks whoever solves the message, and waits for the answer. Dropping the future forgets the request.
    ///
    /// # Errors
    /// How the request ended otherwise: see [`StpRequestError`].
    async fn request(&self, message: &str, timeout: StpTimeout) -> Result<Vec<String>, StpRequestError>;

    /// Sets who hears informs. A later handler takes the place of an earlier one.
    fn on_inform(&self, handler: InformHandler);

    /// Sets who answers requests.
    fn on_request(&self, handler: RequestHandler);

    /// Sets who is told when the connection is lost.
    fn on_error(&self, handler: ErrorHandler);
}
