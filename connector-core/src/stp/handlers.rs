//! The handlers of a service.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;

use crate::excerpt::Excerpt;
use crate::guard::panic_text;
use crate::runtime::BoxFuture;
use crate::sync::lock;
use crate::trace_limit::TraceLimit;

/// Receives the informs that match the service's solvables (the seed's `onInform`).
#[derive(Clone)]
pub struct InformHandler(Arc<dyn Fn(String) + Send + Sync>);

/// Answers the requests that match the service's solvables (the seed's `onRequest`).
#[derive(Clone)]
pub struct RequestHandler(Arc<dyn Fn(String) -> BoxFuture<Result<String, String>> + Send + Sync>);

/// Called when a connection is lost, and when it cannot be restored (the seed's `onError`).
#[derive(Clone)]
pub struct ErrorHandler(Arc<dyn Fn(String) + Send + Sync>);

impl InformHandler {
    /// A function of the unchanged API message. It runs where the message arrives, so it must not block.
    pub fn new(handler: impl Fn(String) + Send + Sync + 'static) -> InformHandler {
        InformHandler(Arc::new(handler))
    }
}

impl RequestHandler {
    /// An async function from the unchanged API message to the API response. An error's text is sent to the requester.
    /// It runs on the connection's task, so it may wait but must not block.
    pub fn new<F, E>(handler: impl Fn(String) -> F + Send + Sync + 'static) -> RequestHandler
    where
        F: Future<Output = Result<String, E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        RequestHandler(Arc::new(move |message| {
            let work = handler(message);
            Box::pin(async move { work.await.map_err(|error| error.to_string()) })
        }))
    }
}

impl ErrorHandler {
    /// A function of an error description. It must not block.
    pub fn new(handler: impl Fn(String) + Send + Sync + 'static) -> ErrorHandler {
        ErrorHandler(Arc::new(handler))
    }
}

/// The three handlers of a connector, for implementations of [`StpConnector`](super::StpConnector). They may be set at
/// any time, including before `connect`, and persist across connections; a later one replaces an earlier one.
///
/// Panics in handlers are contained: a panic is traced and, in a request handler, reported to the requester as an
/// error.
#[derive(Default)]
pub struct StpHandlers {
    inform: Mutex<Option<InformHandler>>,
    request: Mutex<Option<RequestHandler>>,
    error: Mutex<Option<ErrorHandler>>,
    /// Limits the traces about panics.
    panics: Arc<TraceLimit>,
}

impl StpHandlers {
    /// Sets the handler of informs.
    pub fn set_inform(&self, handler: InformHandler) {
        // An earlier handler may own anything, so it is dropped without holding a lock.
        let before = lock(&self.inform).replace(handler);
        drop(before);
    }

    /// Sets the handler of requests.
    pub fn set_request(&self, handler: RequestHandler) {
        let before = lock(&self.request).replace(handler);
        drop(before);
    }

    /// Sets the handler of errors.
    pub fn set_error(&self, handler: ErrorHandler) {
        let before = lock(&self.error).replace(handler);
        drop(before);
    }

    /// Passes an inform to its handler. Without one it is dropped and traced.
    pub fn inform(&self, message: String) {
        let handler = lock(&self.inform).clone();
        match handler {
            Some(InformHandler(handler)) => self.guarded("onInform", || handler(message)),
            None => tracing::debug!("an inform is dropped: no handler is set"),
        }
    }

    /// Answers a request. There is always a response: without a handler, and after a panic, it is an error.
    pub fn request(&self, message: String) -> impl Future<Output = Result<String, String>> + Send + 'static {
        let handler = lock(&self.request).clone();
        let work = async move {
            match handler {
                Some(RequestHandler(handler)) => handler(message).await,
                None => Err("this service does not answer requests".to_owned()),
            }
        };
        let panics = Arc::clone(&self.panics);
        AssertUnwindSafe(work).catch_unwind().map(move |outcome| {
            outcome.unwrap_or_else(|panic| {
                let what = panic_text(&*panic);
                if let Some(left_out) = panics.pass() {
                    tracing::error!(panic = %Excerpt::new(what), left_out, "a request's handler panicked");
                }
                Err(format!("the handler of this request panicked: {what}"))
            })
        })
    }

    /// Passes an error to its handler.
    pub fn error(&self, error: String) {
        let handler = lock(&self.error).clone();
        if let Some(ErrorHandler(handler)) = handler {
            self.guarded("onError", || handler(error));
        }
    }

    fn guarded(&self, which: &'static str, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work))
            && let Some(left_out) = self.panics.pass()
        {
            tracing::error!(panic = %Excerpt::new(panic_text(&*panic)), which, left_out, "a handler panicked");
        }
    }
}

macro_rules! opaque {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque! { InformHandler RequestHandler ErrorHandler StpHandlers }
