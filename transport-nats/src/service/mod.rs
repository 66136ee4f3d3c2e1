//! A plugin's methods as a NATS service (ADR-32), for programs that use NATS alone.

mod instance;
mod request;

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use async_nats::service::Request;
use connector_core::{Excerpt, PluginClient, Profile, TraceLimit};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use self::instance::Instance;
use self::request::{Calls, answer, error};
use crate::client::ServeError;
use crate::config::NatsConfig;
use crate::link::Wakers;
use crate::redial::Redial;
use crate::subjects::{Subjects, is_token};

type Running = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// An instance of a plugin's [service](crate#services), made by [`service`].
///
/// Requests are served while [`run`](NatsService::run) or [`until`](NatsService::until) is awaited, and all in that task.
/// Dropping it ends the instance, and cancels the requests that it runs.
#[must_use = "dropping it ends the service"]
pub struct NatsService {
    calls: Arc<Calls>,
    profile: Profile,
    subjects: Subjects,
    config: NatsConfig,
    instance: Instance,
    traces: TraceLimit,
}

/// Why an instance ends.
enum End {
    Stopped,
    ConnectionLost,
}

/// Serves the methods of the plugin `plugin` as an instance of a NATS service: see [services](crate#services). Each request
/// is a call by `caller`, a plugin of the engine, with its permissions. Must be called within a tokio runtime. Cancel safe.
///
/// ```no_run
/// use connector_core::{Engine, Plugin};
/// use transport_nats::NatsConfig;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new();
/// engine.register(Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b }))?;
/// let gate = engine.register(Plugin::new("gate"))?;
/// engine.manager().activate("gate").await?;
/// let service = transport_nats::service(gate, "calculator", NatsConfig::new("nats://127.0.0.1:4222")).await?;
/// service.until(tokio::time::sleep(std::time::Duration::from_secs(3600))).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// The plugin is unknown, its name or none of its methods' can be a service's, or the list of its methods is longer than a
/// message may be (about 400 methods by default); otherwise as [`NatsServer::bind`](crate::NatsServer::bind).
pub async fn service(caller: PluginClient, plugin: &str, config: NatsConfig) -> Result<NatsService, ServeError> {
    config.check()?;
    let subjects = Subjects::new(&config.prefix, plugin)?;
    if !is_token(plugin) {
        return Err(ServeError::Service(format!(
            "a NATS service cannot be named {:?}: its name has only the characters A-Z a-z 0-9 _ -",
            Excerpt::up_to(64, plugin)
        )));
    }
    let (limit, name) = (config.request_timeout, (plugin.to_owned(),));
    let asked = caller.call_within::<Option<Profile>>(limit, "manager", "getProfile", name).await;
    let mut profile = asked
        .map_err(|failed| ServeError::Service(format!("the profile of {plugin} cannot be read: {failed}")))?
        .ok_or_else(|| ServeError::Service(format!("{plugin} is not registered with the engine")))?;
    let (methods, others) = profile.methods.take().unwrap_or_default().into_iter().partition(|method| is_token(method));
    let (methods, others): (Vec<String>, Vec<String>) = (methods, others);
    if !others.is_empty() {
        let others = format!("{:?}", Excerpt::new(others.join(", ")));
        tracing::warn!(
            plugin,
            others,
            "the names of methods cannot be part of a NATS subject; the service has the others"
        );
    }
    if methods.is_empty() {
        return Err(ServeError::Service(format!(
            "{plugin} lists no method that a NATS service can have: activate it first, so that its methods are known"
        )));
    }
    profile.methods = Some(methods);
    let instance = Instance::new(&profile, &subjects, &config).await?;
    let (max_message, limit) = (config.max_message, config.request_timeout);
    let calls = Arc::new(Calls { caller, plugin: plugin.to_owned(), max_message, limit });
    Ok(NatsService { calls, profile, subjects, config, instance, traces: TraceLimit::default() })
}

impl NatsService {
    /// The subject of a method, for example `plugins.calculator.call.add`.
    pub fn subject(&self, method: &str) -> String {
        format!("{}.{method}", self.subjects.calls())
    }

    /// Serves requests without an end, as [`until`](NatsService::until) does.
    ///
    /// # Errors
    /// The server forbids it from now on.
    pub async fn run(self) -> Result<(), ServeError> {
        self.until(pending::<()>()).await
    }

    /// Serves requests until `stop` is ready. The instance then takes no more requests, and completes those that it runs,
    /// which takes no longer than [`NatsConfig::request_timeout`](NatsConfig#structfield.request_timeout).
    ///
    /// If the connection to the server is lost, the requests that run are cancelled, and the instance starts again over a new
    /// one, with growing delays between its attempts and without an end.
    ///
    /// # Errors
    /// The server forbids it from now on.
    pub async fn until(mut self, stop: impl Future) -> Result<(), ServeError> {
        let mut stop = pin!(stop.map(drop));
        let mut redial = Redial::new();
        redial.set_connected();
        loop {
            let mut running = Running::new();
            match self.serve(&mut running, stop.as_mut()).await? {
                End::Stopped => {
                    self.instance.stop();
                    let (limit, mut never) = (self.config.request_timeout, pin!(pending()));
                    let _ = tokio::time::timeout(limit, self.serve(&mut running, never.as_mut())).await;
                    return Ok(());
                }
                End::ConnectionLost => {
                    drop(running);
                    // async-nats may have made the connection again: what it brings to this instance would get no answer.
                    self.instance.stop();
                    self.instance.requests.clear();
                }
            }
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(()),
                again = start_again(&self.profile, &self.subjects, &self.config, &mut redial) => self.instance = again?,
            }
        }
    }

    /// Returns once it must stop, or nothing more can arrive.
    async fn serve<S>(&mut self, running: &mut Running, mut stop: Pin<&mut S>) -> Result<End, ServeError>
    where
        S: Future<Output = ()>,
    {
        let NatsService { calls, config, instance, traces, subjects, .. } = self;
        let Instance { connection, forbidden, requests, subjects: own, service } = instance;
        let wakers = Arc::<Wakers>::default();
        connection.watch(&wakers);
        let mut ended = false;
        loop {
            let lost = poll_fn(|cx| {
                wakers.reader.register(cx.waker());
                if connection.is_lost() { Poll::Ready(()) } else { Poll::Pending }
            });
            if ended && running.is_empty() {
                return Ok(End::Stopped);
            }
            tokio::select! {
                biased;
                () = lost => return Ok(End::ConnectionLost),
                () = stop.as_mut() => return Ok(End::Stopped),
                Some(()) = running.next() => {}
                Ok(refusal) = forbidden.recv() => {
                    if own.iter().any(|subject| refusal.is_about(subject)) {
                        return Err(ServeError::Forbidden(refusal.to_string()));
                    }
                }
                request = requests.next(), if !ended => match request {
                    // Otherwise this end would publish with its own permissions where a foreign program chooses.
                    Some((_, request)) if !is_answerable(&request, &config.prefix) => {
                        if let Some(left_out) = traces.pass() {
                            let plugin = subjects.url();
                            tracing::warn!(plugin, left_out, "a request whose answer would go to a plugin's subject is ignored");
                        }
                    }
                    Some((_, request)) if running.len() >= config.max_requests => {
                        let busy = format_args!("it runs {} requests, which is the limit. Try again later.", running.len());
                        let _ = request.respond(Err(error(503, busy))).now_or_never();
                    }
                    Some((method, request)) => {
                        let max_payload = connection.client().max_payload();
                        running.push(Box::pin(answer(Arc::clone(calls), method, request, max_payload)));
                    }
                    None if service.is_some() => return Ok(End::ConnectionLost),
                    None => ended = true,
                },
            }
        }
    }
}

fn is_answerable(request: &Request, prefix: &str) -> bool {
    let reply = request.message.reply.as_deref().unwrap_or_default();
    !reply.starts_with('$') && !reply.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
}

/// Cancel safe.
async fn start_again(
    profile: &Profile,
    subjects: &Subjects,
    config: &NatsConfig,
    redial: &mut Redial,
) -> Result<Instance, ServeError> {
    let plugin = subjects.url();
    tracing::warn!(plugin, "the connection of a service to the NATS server was lost; reconnecting");
    loop {
        tokio::time::sleep(redial.next_delay()).await;
        match Instance::new(profile, subjects, config).await {
            Ok(instance) => {
                redial.set_connected();
                tracing::info!(plugin, "the connection of a service to the NATS server is up again");
                return Ok(instance);
            }
            Err(ServeError::Forbidden(why)) => return Err(ServeError::Forbidden(why)),
            Err(error) => tracing::debug!(error = %Excerpt::new(error), "the NATS server is not reachable yet"),
        }
    }
}

impl fmt::Debug for NatsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsService").field("subjects", &self.subject("*")).finish_non_exhaustive()
    }
}
