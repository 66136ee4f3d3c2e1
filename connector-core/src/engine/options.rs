//! What a host may set for each plugin.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::link::QueueLimits;

/// Options of one plugin, given when it is registered.
///
/// ```
/// use std::time::Duration;
/// use connector_core::PluginOptions;
///
/// let options = PluginOptions::default().queue_timeout(Duration::from_secs(60)).concurrency(8);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct PluginOptions {
    /// How long a call may run, counted from the start of its run: the published `queueTimeout`. Default 10 s.
    ///
    /// A method in the engine's process runs in its caller's own task, and time is looked at when it awaits: one that
    /// blocks its thread past the limit holds up that task for as long, and then its call ends with the method's result,
    /// not as timed out. Code that blocks belongs on a thread of its own: `spawn_blocking`, or a worker.
    pub queue_timeout: Duration,
    /// How many calls may wait for their run; the next is refused as busy. Default 1,024.
    pub queue_length: usize,
    /// How many calls may run at once. Default 1, as in the published engine.
    pub concurrency: usize,
    /// Methods with a lane of their own: so many calls of the method may run at once, whatever else runs, and as many as
    /// `queue_length` may wait for it. Meant for a few: they are searched one by one. Default none.
    pub method_concurrency: HashMap<String, usize>,
    /// How long activation may take: to connect and shake hands, tries after a loss included; or, for a plugin in the
    /// process, its hook. Default 15 s.
    pub activation_timeout: Duration,
    /// How long a new link may go without an answer to its handshake before it is tried anew. Default 5 s.
    pub handshake_timeout: Duration,
    /// After how long without a word from it a plugin behind a link is asked for a sign of life: a repeated handshake,
    /// which any plugin answers and none minds. If nothing comes within `handshake_timeout` either, its link ends as
    /// [`LinkEnd::Silent`](crate::LinkEnd::Silent) and is made again, which starts a child process or a worker anew.
    /// Default (`None`): 10 s where the transport does not notice silence by itself (pipes, local sockets, threads), so
    /// that it is found within 20 s; never where it does (websockets, socket.io), since
    /// [`Link::notices_silence`](crate::Link::notices_silence) says so. If set, it holds for every transport, and finds
    /// a program that hangs though its transport still answers pings; [`Duration::MAX`] asks never.
    ///
    /// Whatever arrives is a sign of life, and so is reading what was sent to a link that had pushed back. A plugin with
    /// one thread cannot answer while it runs a method: a call gives it until `queue_timeout` has passed since its
    /// silence was noticed. Code that blocks its thread elsewhere (an event's callback, a hook) has to be quicker, or
    /// needs a longer interval here. It is asked at most a quarter of the interval late. At least 1 ms.
    pub health_interval: Option<Duration>,
    /// The delay before the first redial of a lost link is at most this; then it doubles. Each delay is drawn evenly
    /// between nothing and its bound (full jitter), and a success starts anew. Default 50 ms.
    pub redial_first: Duration,
    /// The most a redial is delayed. Default 1 s, what the published engine waits.
    pub redial_most: Duration,
    /// Turns the profile's URL into the one to connect to; see [`transform_url`](crate::transform_url), the default.
    pub transform_url: Option<UrlTransform>,
    /// The engine's name, told in the handshake. Default none.
    pub engine_name: Option<String>,
    /// Calls that a plugin behind a link may have under way at once; more are refused as busy. Default 16,384.
    pub calls: usize,
    /// Events that the plugin may listen to at once. Default 4,096.
    pub listeners: usize,
    /// The queue in front of the plugin's link.
    pub queue: QueueLimits,
}

/// From a plugin's name and its profile's URL to the URL to connect to.
pub type UrlTransform = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

impl Default for PluginOptions {
    fn default() -> Self {
        PluginOptions {
            queue_timeout: Duration::from_secs(10),
            queue_length: 1024,
            concurrency: 1,
            method_concurrency: HashMap::new(),
            activation_timeout: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(5),
            health_interval: None,
            redial_first: Duration::from_millis(50),
            redial_most: Duration::from_secs(1),
            transform_url: None,
            engine_name: None,
            calls: 16_384,
            listeners: 4096,
            queue: QueueLimits::default(),
        }
    }
}

impl PluginOptions {
    /// Sets [`queue_timeout`](PluginOptions::queue_timeout).
    #[must_use]
    pub fn queue_timeout(mut self, limit: Duration) -> Self {
        self.queue_timeout = limit;
        self
    }

    /// Sets [`queue_length`](PluginOptions::queue_length).
    #[must_use]
    pub fn queue_length(mut self, calls: usize) -> Self {
        self.queue_length = calls;
        self
    }

    /// Sets [`concurrency`](PluginOptions::concurrency); 0 is taken as 1.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// Gives a method a lane of its own, see [`method_concurrency`](PluginOptions::method_concurrency); 0 is taken as 1.
    #[must_use]
    pub fn method_concurrency(mut self, method: &str, calls: usize) -> Self {
        self.method_concurrency.insert(method.to_owned(), calls.max(1));
        self
    }

    /// Sets [`activation_timeout`](PluginOptions::activation_timeout).
    #[must_use]
    pub fn activation_timeout(mut self, limit: Duration) -> Self {
        self.activation_timeout = limit;
        self
    }

    /// Sets [`handshake_timeout`](PluginOptions::handshake_timeout).
    #[must_use]
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }

    /// Sets [`health_interval`](PluginOptions::health_interval).
    #[must_use]
    pub fn health_interval(mut self, interval: Duration) -> Self {
        self.health_interval = Some(interval);
        self
    }

    /// Sets [`redial_first`](PluginOptions::redial_first) and [`redial_most`](PluginOptions::redial_most).
    #[must_use]
    pub fn redial(mut self, first: Duration, most: Duration) -> Self {
        (self.redial_first, self.redial_most) = (first, most);
        self
    }

    /// Sets [`transform_url`](PluginOptions::transform_url).
    #[must_use]
    pub fn transform_url(mut self, transform: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        self.transform_url = Some(Arc::new(transform));
        self
    }

    /// Sets [`engine_name`](PluginOptions::engine_name).
    #[must_use]
    pub fn engine_name(mut self, name: &str) -> Self {
        self.engine_name = Some(name.to_owned());
        self
    }

    /// Sets [`calls`](PluginOptions::calls).
    #[must_use]
    pub fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// Sets [`listeners`](PluginOptions::listeners).
    #[must_use]
    pub fn listeners(mut self, events: usize) -> Self {
        self.listeners = events;
        self
    }

    /// Sets [`queue`](PluginOptions::queue).
    #[must_use]
    pub fn queue(mut self, limits: QueueLimits) -> Self {
        self.queue = limits;
        self
    }
}

impl fmt::Debug for PluginOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginOptions")
            .field("queue_timeout", &self.queue_timeout)
            .field("queue_length", &self.queue_length)
            .field("concurrency", &self.concurrency)
            .field("method_concurrency", &self.method_concurrency)
            .field("activation_timeout", &self.activation_timeout)
            .field("redial_most", &self.redial_most)
            .finish_non_exhaustive()
    }
}
