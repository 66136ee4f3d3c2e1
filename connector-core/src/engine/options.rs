//! Per-plugin options.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::bad_setting::BadSetting;
use crate::link::QueueLimits;
use crate::wire::JsonLimits;

/// Limits and options of one plugin, for [`Registration::options`](crate::Registration::options) or
/// [`EngineBuilder::plugin_options`](crate::EngineBuilder::plugin_options).
///
/// A limit of 0, unless its field gives it a meaning, and a time limit below 1 ms are errors of the registration
/// ([`RegisterError::Setting`](crate::RegisterError::Setting)).
///
/// ```
/// use std::time::Duration;
/// use connector_core::PluginOptions;
///
/// let options = PluginOptions::default().queue_timeout(Duration::from_secs(60)).concurrency(8);
/// ```
#[derive(Clone, derive_more::Debug)]
#[non_exhaustive]
pub struct PluginOptions {
    /// How long a call may run, not counting its time in the queue: the published `queueTimeout`. The call then ends as
    /// [`CallError::TimedOut`](crate::CallError::TimedOut). Default 10 s.
    ///
    /// A method in the engine's process runs in its caller's task, so the limit takes effect only where the method
    /// awaits. A method that blocks its thread past the limit holds up that task, and its call then ends with the
    /// method's result, not as timed out. Run blocking code elsewhere: with `spawn_blocking`, or in a worker.
    pub queue_timeout: Duration,
    /// How many calls may be queued; more are refused as [`Refusal::Busy`](crate::Refusal::Busy), except that each
    /// caller may always queue a quarter of this number, at least 16. Callers take turns. Default 1,024.
    pub queue_length: usize,
    /// How many calls may run at once; 0 is taken as 1. Default 1, as in the published engine.
    pub concurrency: usize,
    /// Methods with separate queues: this many calls of the method may run at once, independently of other calls, and
    /// up to `queue_length` more may be queued; 0 is taken as 1. Intended for a few methods, since each call searches the list. Default
    /// none.
    pub method_concurrency: HashMap<String, usize>,
    /// How long activation may take. Behind a link this covers all connection attempts and the handshake. In the
    /// process it limits the activation hook and, separately, the deactivation hook. Default 15 s.
    pub activation_timeout: Duration,
    /// How long a new link waits for the handshake response before the engine reconnects. Default 5 s.
    pub handshake_timeout: Duration,
    /// How long a plugin behind a link may be silent before the engine probes it with a repeated handshake, which every
    /// plugin answers. If nothing arrives within `handshake_timeout` either, the link ends as
    /// [`LinkEnd::Silent`](crate::LinkEnd::Silent) and the engine makes another, which restarts a child process or a
    /// worker.
    ///
    /// Default (`None`): 10 s if the transport does not detect silence itself (pipes, local sockets, threads), so that
    /// silence is detected within 20 s; no probes otherwise (websockets, socket.io), see
    /// [`Link::notices_silence`](crate::Link::notices_silence). An explicit value applies to every transport, and also
    /// detects a program that hangs while its transport still answers pings. [`Duration::MAX`] disables probes. At
    /// least 1 ms; a probe is at most a quarter of the interval late.
    ///
    /// Any received data is a sign of life, and so is progress of a link that was full. A single-threaded plugin cannot
    /// respond while it runs a method, so a call grants it time until `queue_timeout` has passed since its silence was
    /// noticed. Code that blocks the thread elsewhere, in an event's callback or a hook, must be quicker or needs a
    /// longer interval.
    pub health_interval: Option<Duration>,
    /// The upper bound of the delay before the first reconnect attempt. It doubles with each attempt, up to
    /// `reconnect_max_delay`, and is reset once a link has lasted as long as `reconnect_max_delay`. Each delay is drawn
    /// uniformly between zero and its bound (full jitter). Default 50 ms.
    pub reconnect_min_delay: Duration,
    /// The upper bound of any reconnect delay. Default 1 s, as in the published engine.
    pub reconnect_max_delay: Duration,
    /// Maps the profile's URL to the one to connect to. Default: [`transform_url`](crate::transform_url).
    #[debug("{}", transform_url.is_some())]
    pub transform_url: Option<UrlTransform>,
    /// The engine's name, sent to the plugin in the handshake. A plugin that another engine lends requires it: see
    /// [`Engine::lend`](crate::Engine::lend). Default none.
    pub engine_name: Option<String>,
    /// How many calls by a plugin behind a link may be pending; more are refused as
    /// [`Refusal::Busy`](crate::Refusal::Busy). Default 16,384.
    pub max_calls: usize,
    /// How many subscriptions the plugin may have; more are refused as
    /// [`Refusal::TooManyListeners`](crate::Refusal::TooManyListeners). Default 4,096.
    pub max_subscriptions: usize,
    /// Limits of the queue in front of the plugin's link.
    pub queue: QueueLimits,
    /// How deep the JSON may be nested that the engine forwards to the plugin: arguments, event data, and results of its
    /// calls. A call beyond it is refused as [`Refusal::TooComplex`](crate::Refusal::TooComplex), a result becomes an
    /// error, an event is dropped. Protects parsers that recurse; values that never were JSON are not checked.
    /// Default 1,000.
    pub max_depth: usize,
    /// How many consecutive digits a number may have in such JSON, with the same consequences. Protects parsers that
    /// take quadratic time for them. At least 1. Default 1,000.
    pub max_digits: usize,
    /// The memory, in bytes, that the engine holds for a plugin behind a link: messages in transit, the arguments of its
    /// calls, responses that it has not read (at most half of the rest), events queued for it (the same), and the last
    /// occurrences of its own events. Each item also counts a fixed overhead. An item of any size fits if nothing else is
    /// held.
    ///
    /// Where the transport limits the size of a message ([`Link::max_message`](crate::Link::max_message)), the limit is
    /// at least four times that size, and two messages of that size are set aside for those in transit, one in each
    /// direction: with 16 MiB messages, the default leaves 32 MiB for the rest.
    ///
    /// Beyond the limit its calls are refused as [`Refusal::OverBudget`](crate::Refusal::OverBudget), results become
    /// errors, the oldest queued events are dropped, and events are not stored. A plugin that reads nothing then loses
    /// its link as [`LinkEnd::TooSlow`](crate::LinkEnd::TooSlow). A plugin in the engine's process has no such limit.
    /// Default 64 MiB.
    pub memory_limit: usize,
}

/// Maps a plugin's name and its profile's URL to the URL to connect to.
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
            reconnect_min_delay: Duration::from_millis(50),
            reconnect_max_delay: Duration::from_secs(1),
            transform_url: None,
            engine_name: None,
            max_calls: 16_384,
            max_subscriptions: 4096,
            queue: QueueLimits::default(),
            max_depth: 1000,
            max_digits: 1000,
            memory_limit: 64 << 20,
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

    /// Sets [`concurrency`](PluginOptions::concurrency).
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls;
        self
    }

    /// Adds a method to [`method_concurrency`](PluginOptions::method_concurrency).
    #[must_use]
    pub fn method_concurrency(mut self, method: &str, calls: usize) -> Self {
        self.method_concurrency.insert(method.to_owned(), calls);
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

    /// Sets [`reconnect_min_delay`](PluginOptions::reconnect_min_delay) and
    /// [`reconnect_max_delay`](PluginOptions::reconnect_max_delay).
    #[must_use]
    pub fn reconnect_delay(mut self, min: Duration, max: Duration) -> Self {
        (self.reconnect_min_delay, self.reconnect_max_delay) = (min, max);
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

    /// Sets [`max_calls`](PluginOptions::max_calls).
    #[must_use]
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.max_calls = calls;
        self
    }

    /// Sets [`max_subscriptions`](PluginOptions::max_subscriptions).
    #[must_use]
    pub fn max_subscriptions(mut self, events: usize) -> Self {
        self.max_subscriptions = events;
        self
    }

    /// Sets [`max_depth`](PluginOptions::max_depth).
    #[must_use]
    pub fn max_depth(mut self, levels: usize) -> Self {
        self.max_depth = levels;
        self
    }

    /// Sets [`max_digits`](PluginOptions::max_digits).
    #[must_use]
    pub fn max_digits(mut self, digits: usize) -> Self {
        self.max_digits = digits;
        self
    }

    /// Sets [`memory_limit`](PluginOptions::memory_limit).
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Sets [`queue`](PluginOptions::queue).
    #[must_use]
    pub fn queue(mut self, limits: QueueLimits) -> Self {
        self.queue = limits;
        self
    }
}

impl PluginOptions {
    /// # Errors
    /// A setting with which nothing can work.
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::lasts("PluginOptions::queue_timeout", self.queue_timeout)?;
        BadSetting::not_zero("PluginOptions::queue_length", self.queue_length)?;
        BadSetting::lasts("PluginOptions::activation_timeout", self.activation_timeout)?;
        BadSetting::lasts("PluginOptions::handshake_timeout", self.handshake_timeout)?;
        let interval = self.health_interval.unwrap_or(Duration::MAX);
        BadSetting::lasts("PluginOptions::health_interval", interval)?;
        BadSetting::not_zero("PluginOptions::max_calls", self.max_calls)?;
        BadSetting::not_zero("PluginOptions::max_subscriptions", self.max_subscriptions)?;
        BadSetting::not_zero("PluginOptions::max_depth", self.max_depth)?;
        BadSetting::not_zero("PluginOptions::max_digits", self.max_digits)?;
        BadSetting::not_zero("PluginOptions::memory_limit", self.memory_limit)?;
        self.queue.check()
    }

    /// The limits of JSON that is forwarded to the plugin.
    pub(super) fn json_limits(&self) -> JsonLimits {
        JsonLimits { depth: self.max_depth, digits: self.max_digits }
    }
}
