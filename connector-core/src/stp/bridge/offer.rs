//! A plugin as an STP service.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use thiserror::Error;

use super::convert::{args_of, response_of};
use super::{events, informs, pump};
use crate::client::PluginClient;
use crate::error::CallError;
use crate::excerpt::Excerpt;
use crate::runtime::{self, Task};
use crate::stp::{Envelope, RequestHandler, StpConnectError, StpConnector, StpDisconnectError, StpService, StpTimeout};
use crate::trace_limit::TraceLimit;
use crate::wire::Payload;

/// A plugin, wherever it runs, offered to an STP session as a service.
///
/// - Its [`methods`](StpOffer::methods) are the solvables: a request becomes a call, and an inform becomes a call whose
///   result is ignored.
/// - Its [`events`](StpOffer::events) become informs.
///
/// Calls are made in the name of the plugin whose handle is passed, so the engine's rules apply to them. When the
/// timeout of a request passes, its call is cancelled.
///
/// ```no_run
/// # async fn example(local: connector_core::PluginClient, connector: impl connector_core::stp::StpConnector)
/// # -> Result<(), connector_core::stp::StpOfferError> {
/// use connector_core::stp::{StpOffer, StpTimeout};
///
/// let offer = StpOffer::new("calculator", local).methods(["add"]).events(["overflowed"]).session_id("exercise");
/// let offered = offer.connect(connector, StpTimeout::default()).await?;
/// // Until `offered` is dropped.
/// # drop(offered); Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is offered before `connect`"]
pub struct StpOffer {
    target: String,
    client: PluginClient,
    service: StpService,
    events: Vec<(String, String)>,
}

/// Why a plugin was not offered.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StpOfferError {
    /// See [`StpConnectError`].
    #[error(transparent)]
    Connect(#[from] StpConnectError),
    /// The events cannot be subscribed to.
    #[error("cannot subscribe to the plugin's events: {0}")]
    Listen(CallError),
}

impl From<CallError> for StpOfferError {
    fn from(error: CallError) -> StpOfferError {
        StpOfferError::Listen(error)
    }
}

impl StpOffer {
    /// Offers the plugin `target`, a name or a path, as a service of the same name; calls are made in `client`'s name.
    pub fn new(target: impl Into<String>, client: PluginClient) -> StpOffer {
        let target = target.into();
        let service = StpService::new(target.clone(), [""; 0]);
        StpOffer { target, client, service, events: Vec::new() }
    }

    /// Methods that services may request.
    pub fn methods<S: Into<String>>(mut self, methods: impl IntoIterator<Item = S>) -> StpOffer {
        self.service.solvables.extend(methods.into_iter().map(Into::into));
        self
    }

    /// Events forwarded to services.
    pub fn events<S: Into<String>>(mut self, events: impl IntoIterator<Item = S>) -> StpOffer {
        let target = self.target.clone();
        self.events.extend(events.into_iter().map(|event| (target.clone(), event.into())));
        self
    }

    /// The requested session; see [`StpService::session_id`].
    pub fn session_id(mut self, id: impl Into<String>) -> StpOffer {
        self.service = self.service.session_id(id);
        self
    }

    /// The machine's id; see [`StpService::machine_id`].
    pub fn machine_id(mut self, id: impl Into<String>) -> StpOffer {
        self.service = self.service.machine_id(id);
        self
    }

    /// Connects the service. Takes over the connector's handlers of informs and requests.
    ///
    /// # Errors
    /// Like [`StpConnector::connect`], or the events cannot be subscribed to because `client` is not active.
    pub async fn connect(self, connector: impl StpConnector, timeout: StpTimeout) -> Result<StpOffered, StpOfferError> {
        let StpOffer { target, client, service, events: named } = self;
        let connector: Arc<dyn StpConnector> = Arc::new(connector);
        let events = events(&client, &named)?;
        let informs = informs(&*connector);
        let call = Arc::new(Call { target, client, methods: service.solvables.clone() });
        let request_call = Arc::clone(&call);
        connector.on_request(RequestHandler::new(move |message| Arc::clone(&request_call).run(message)));
        let session_id = connector.connect(service, timeout).await?;
        let failures = Arc::<TraceLimit>::default();
        let on_inform = move |message| {
            let failures = Arc::clone(&failures);
            Arc::clone(&call).run(message).map(move |outcome| {
                if let Err(error) = outcome
                    && let Some(left_out) = failures.pass()
                {
                    tracing::warn!(left_out, error = %Excerpt::new(error), "an inform's call failed");
                }
            })
        };
        let pump = runtime::spawn(pump(Arc::clone(&connector), informs, events, on_inform));
        Ok(StpOffered { connector, session_id, _pump: pump })
    }
}

struct Call {
    target: String,
    client: PluginClient,
    methods: Vec<String>,
}

impl Call {
    async fn run(self: Arc<Self>, message: String) -> Result<String, String> {
        let envelope = Envelope::parse(&message).map_err(|error| error.to_string())?;
        if !self.methods.iter().any(|method| *method == envelope.method) {
            return Err(format!("{} is not offered by {}", envelope.method, self.target));
        }
        let args = args_of(envelope.params);
        let result = self.client.call::<Payload>(&self.target, &envelope.method, args).await;
        response_of(&result.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }
}

/// An offered plugin; dropping it ends the offer.
#[must_use = "dropping it withdraws the offer"]
pub struct StpOffered {
    connector: Arc<dyn StpConnector>,
    session_id: String,
    _pump: Task,
}

impl StpOffered {
    /// The id of the session in which the plugin is offered.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The connector.
    pub fn connector(&self) -> &dyn StpConnector {
        &*self.connector
    }

    /// Ends the offer gracefully.
    ///
    /// # Errors
    /// Like [`StpConnector::disconnect`]; the offer ends anyway.
    pub async fn disconnect(self, timeout: StpTimeout) -> Result<(), StpDisconnectError> {
        self.connector.disconnect(timeout).await
    }
}

impl fmt::Debug for StpOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StpOffered").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}
