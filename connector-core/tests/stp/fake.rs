//! A connector without a socket, as a third party would implement the contract. It records what it sends; requests to
//! STP are answered by a function.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use connector_core::async_trait;
use connector_core::stp::{
    ErrorHandler, InformHandler, RequestHandler, StpConnectError, StpConnector, StpDisconnectError, StpHandlers,
    StpInformError, StpRequestError, StpService, StpTimeout, unique_name,
};

type Answered = Result<Vec<String>, StpRequestError>;
type Answer = Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = Answered> + Send>> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Fake(Arc<Inner>);

struct Inner {
    handlers: StpHandlers,
    state: Mutex<State>,
    answer: Answer,
}

#[derive(Default)]
struct State {
    connected: Option<(StpService, StpTimeout, String)>,
    informs: Vec<String>,
    /// The number of connection attempts that fail first.
    fails: usize,
}

impl Fake {
    pub(crate) fn new(answer: impl Fn(&str) -> Answered + Send + Sync + 'static) -> Fake {
        Fake::of(Box::new(move |message| Box::pin(ready(answer(&message)))))
    }

    fn of(answer: Answer) -> Fake {
        Fake(Arc::new(Inner { handlers: StpHandlers::default(), state: Mutex::default(), answer }))
    }

    /// Forwards its requests to another connector's service.
    pub(crate) fn asking(other: Fake) -> Fake {
        Fake::of(Box::new(move |message| {
            let other = other.clone();
            Box::pin(async move {
                let answer = other.request_service(&message).await;
                answer.map(|answer| vec![answer]).map_err(StpRequestError::Refused)
            })
        }))
    }

    pub(crate) fn echo() -> Fake {
        Fake::new(|message| Ok(vec![message.to_owned()]))
    }

    pub(crate) fn failing(self, times: usize) -> Fake {
        self.0.state.lock().unwrap().fails = times;
        self
    }

    /// The arguments of `connect`.
    pub(crate) fn service(&self) -> Option<(StpService, StpTimeout)> {
        let state = self.0.state.lock().unwrap();
        state.connected.clone().map(|(service, timeout, _)| (service, timeout))
    }

    pub(crate) fn informs(&self) -> Vec<String> {
        self.0.state.lock().unwrap().informs.clone()
    }

    /// STP sends the service an inform.
    pub(crate) fn inform_service(&self, message: &str) {
        self.0.handlers.inform(message.to_owned());
    }

    /// STP sends the service a request.
    pub(crate) async fn request_service(&self, message: &str) -> Result<String, String> {
        self.0.handlers.request(message.to_owned()).await
    }

    pub(crate) fn lose(&self) {
        self.0.handlers.error("lost".to_owned());
    }
}

#[async_trait]
impl StpConnector for Fake {
    fn base_name(&self) -> String {
        self.service().map(|(service, _)| service.service_name).unwrap_or_default()
    }

    fn name(&self) -> String {
        self.0.state.lock().unwrap().connected.as_ref().map(|(_, _, name)| name.clone()).unwrap_or_default()
    }

    fn machine_id(&self) -> Option<String> {
        self.service()?.0.machine_id
    }

    fn session_id(&self) -> Option<String> {
        self.service()?.0.session_id
    }

    fn is_connected(&self) -> bool {
        self.service().is_some()
    }

    async fn connect(&self, service: StpService, timeout: StpTimeout) -> Result<String, StpConnectError> {
        let mut state = self.0.state.lock().unwrap();
        if state.fails > 0 {
            state.fails -= 1;
            return Err(StpConnectError::TimedOut(timeout.duration()));
        }
        let session = service.session_id.clone().unwrap_or_else(|| "its own".to_owned());
        let name = unique_name(&service.service_name);
        state.connected = Some((service, timeout, name));
        Ok(session)
    }

    async fn disconnect(&self, _: StpTimeout) -> Result<(), StpDisconnectError> {
        self.0.state.lock().unwrap().connected = None;
        Ok(())
    }

    async fn inform(&self, message: &str, _: StpTimeout) -> Result<(), StpInformError> {
        if !self.is_connected() {
            return Err(StpInformError::NotConnected);
        }
        self.0.state.lock().unwrap().informs.push(message.to_owned());
        Ok(())
    }

    async fn request(&self, message: &str, _: StpTimeout) -> Result<Vec<String>, StpRequestError> {
        if !self.is_connected() {
            return Err(StpRequestError::NotConnected);
        }
        (self.0.answer)(message.to_owned()).await
    }

    fn on_inform(&self, handler: InformHandler) {
        self.0.handlers.set_inform(handler);
    }

    fn on_request(&self, handler: RequestHandler) {
        self.0.handlers.set_request(handler);
    }

    fn on_error(&self, handler: ErrorHandler) {
        self.0.handlers.set_error(handler);
    }
}
