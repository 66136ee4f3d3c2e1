//! A service with typed handlers.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{StpAskError, StpSendError, api_message, read_response};
use super::connector::StpConnector;
use super::error::StpConnectError;
use super::frame::Envelope;
use super::handlers::{ErrorHandler, InformHandler, RequestHandler};
use super::service::StpService;
use super::timeout::StpTimeout;
use crate::excerpt::Excerpt;
use crate::runtime::BoxFuture;
use crate::sync::lock;
use crate::trace_limit::TraceLimit;
use crate::wire::PayloadError;

type InformFn = Arc<dyn Fn(&Envelope<'_>) -> Result<(), PayloadError> + Send + Sync>;
type RequestFn = Arc<dyn Fn(&Envelope<'_>) -> BoxFuture<Result<String, String>> + Send + Sync>;
type OtherInformFn = Arc<dyn Fn(String) + Send + Sync>;

/// A service defined by its handlers. Each handles the informs or requests of one method; together they determine the
/// service's solvables. Set the handlers, then connect, as in the published quick start.
///
/// ```no_run
/// # async fn example(connector: impl connector_core::stp::StpConnector) -> Result<(), Box<dyn std::error::Error>> {
/// use connector_core::stp::{StpClient, StpTimeout};
///
/// #[derive(serde::Deserialize)]
/// struct SymbolAdded {
///     alternates: Vec<serde_json::Value>,
/// }
///
/// let stp = StpClient::new(connector);
/// stp.on("SymbolAdded", |added: SymbolAdded| tracing::info!("{} alternates", added.alternates.len()));
/// stp.answer("GetZoom", |_: ()| async { Ok::<_, String>(7) });
/// stp.connect("Map", StpTimeout::from_seconds(10.0), Some("desk-7"), Some("exercise")).await?;
/// stp.inform("MapMoved", &serde_json::json!({ "lat": 51.5 }), StpTimeout::default()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StpClient {
    connector: Arc<dyn StpConnector>,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    /// In the order of registration.
    solvables: Vec<String>,
    informs: HashMap<String, InformFn>,
    requests: HashMap<String, RequestFn>,
    other: Option<OtherInformFn>,
    /// Limits the traces about informs.
    traces: Arc<TraceLimit>,
}

impl StpClient {
    /// Takes over a connector's handlers for informs and requests.
    pub fn new(connector: impl StpConnector) -> StpClient {
        StpClient::from_arc(Arc::new(connector))
    }

    /// Like [`new`](StpClient::new), for a shared connector.
    pub fn from_arc(connector: Arc<dyn StpConnector>) -> StpClient {
        let table: Arc<Mutex<Table>> = Arc::default();
        let (informs, requests) = (Arc::clone(&table), Arc::clone(&table));
        connector.on_inform(InformHandler::new(move |message| handle_inform(&informs, message)));
        connector.on_request(RequestHandler::new(move |message| handle_request(&requests, &message)));
        StpClient { connector, table }
    }

    /// Handles informs of a method. Params that do not fit are traced and dropped. The handler runs where the message
    /// arrives, so it must not block. A later handler of the same method replaces an earlier one.
    pub fn on<P: DeserializeOwned>(&self, method: &str, handler: impl Fn(P) + Send + Sync + 'static) {
        let informs: InformFn = Arc::new(move |envelope| envelope.read().map(&handler));
        let mut table = lock(&self.table);
        table.solve(method);
        let previous = table.informs.insert(method.to_owned(), informs);
        drop(table);
        drop(previous);
    }

    /// Answers requests of a method. The result is sent as JSON. The text of an error, including params that do not
    /// fit, is sent to the requester.
    pub fn answer<P, R, E, F>(&self, method: &str, handler: impl Fn(P) -> F + Send + Sync + 'static)
    where
        P: DeserializeOwned,
        R: Serialize,
        E: fmt::Display,
        F: Future<Output = Result<R, E>> + Send + 'static,
    {
        let requests: RequestFn = Arc::new(move |envelope| match envelope.read() {
            Ok(params) => {
                let work = handler(params);
                Box::pin(async move {
                    let result = work.await.map_err(|error| error.to_string())?;
                    serde_json::to_string(&result).map_err(|error| error.to_string())
                })
            }
            Err(error) => Box::pin(ready(Err(error.to_string()))),
        });
        let mut table = lock(&self.table);
        table.solve(method);
        let previous = table.requests.insert(method.to_owned(), requests);
        drop(table);
        drop(previous);
    }

    /// Handles informs of methods without their own handler.
    pub fn on_other(&self, handler: impl Fn(String) + Send + Sync + 'static) {
        let previous = lock(&self.table).other.replace(Arc::new(handler));
        drop(previous);
    }

    /// Called when the connection is lost.
    pub fn on_error(&self, handler: impl Fn(String) + Send + Sync + 'static) {
        self.connector.on_error(ErrorHandler::new(handler));
    }

    /// The methods with handlers, in the order of registration.
    pub fn solvables(&self) -> Vec<String> {
        lock(&self.table).solvables.clone()
    }

    /// Connects the service with the solvables of its handlers, and returns the session's id.
    ///
    /// # Errors
    /// Like [`StpConnector::connect`].
    pub async fn connect(
        &self,
        name: &str,
        timeout: StpTimeout,
        machine_id: Option<&str>,
        session_id: Option<&str>,
    ) -> Result<String, StpConnectError> {
        let mut service = StpService::new(name, self.solvables());
        service.machine_id = machine_id.map(str::to_owned);
        service.session_id = session_id.map(str::to_owned);
        self.connector.connect(service, timeout).await
    }

    /// Sends an inform to every service that solves `method`.
    ///
    /// # Errors
    /// The params cannot be serialized, or see [`StpConnector::inform`].
    pub async fn inform(
        &self,
        method: &str,
        params: &(impl Serialize + Sync + ?Sized),
        timeout: StpTimeout,
    ) -> Result<(), StpSendError> {
        let message = api_message(method, params).map_err(StpSendError::Params)?;
        Ok(self.connector.inform(&message, timeout).await?)
    }

    /// Sends a request to the services that solve `method`, and reads each response as an `R`; see [`read_response`].
    ///
    /// # Errors
    /// The params cannot be serialized, a response is not an `R`, or see [`StpConnector::request`].
    pub async fn request<R: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Serialize + Sync + ?Sized),
        timeout: StpTimeout,
    ) -> Result<Vec<R>, StpAskError> {
        let message = api_message(method, params).map_err(StpAskError::Params)?;
        let responses = self.connector.request(&message, timeout).await?;
        let read = |response: String| {
            read_response(&response).map_err(|error| StpAskError::Response { method: method.to_owned(), error })
        };
        responses.into_iter().map(read).collect()
    }

    /// The connector, for untyped access.
    pub fn connector(&self) -> &dyn StpConnector {
        &*self.connector
    }
}

impl Table {
    fn solve(&mut self, method: &str) {
        if !self.solvables.iter().any(|solvable| solvable == method) {
            self.solvables.push(method.to_owned());
        }
    }
}

fn handle_inform(table: &Mutex<Table>, message: String) {
    let envelope = match Envelope::parse(&message) {
        Ok(envelope) => envelope,
        Err(error) => {
            if let Some(left_out) = lock(table).traces.pass() {
                tracing::warn!(left_out, error = %Excerpt::new(error), "an inform is not an API message");
            }
            return;
        }
    };
    let (informs, other, traces) = {
        let table = lock(table);
        (table.informs.get(&*envelope.method).cloned(), table.other.clone(), Arc::clone(&table.traces))
    };
    let method = Excerpt::new(&envelope.method);
    match (informs, other) {
        (Some(informs), _) => {
            if let Err(error) = informs(&envelope)
                && let Some(left_out) = traces.pass()
            {
                let error = Excerpt::new(error);
                tracing::warn!(?method, left_out, %error, "the params of an inform do not fit its handler");
            }
        }
        (None, Some(other)) => other(message),
        (None, None) => tracing::debug!(?method, "an inform is dropped: its method has no handler"),
    }
}

fn handle_request(table: &Mutex<Table>, message: &str) -> BoxFuture<Result<String, String>> {
    let envelope = match Envelope::parse(message) {
        Ok(envelope) => envelope,
        Err(error) => return Box::pin(ready(Err(error.to_string()))),
    };
    let requests = lock(table).requests.get(&*envelope.method).cloned();
    match requests {
        Some(requests) => requests(&envelope),
        None => Box::pin(ready(Err(format!("this service does not answer {}", envelope.method)))),
    }
}

impl fmt::Debug for StpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StpClient").field("solvables", &self.solvables()).finish_non_exhaustive()
    }
}
