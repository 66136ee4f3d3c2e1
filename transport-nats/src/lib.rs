//! Plugin connectors behind a NATS server: any number of replicas serve a plugin, engines find them by its name.
//!
//! - [`serve`] and [`NatsServer`] (feature `client`) are the plugin's end: a *replica*. As in the published packages,
//!   "client" means the engine's client, the plugin.
//! - [`plugin`](plugin()) and [`NatsConnector`] (feature `plugin`) are the engine's end: a link to any replica. With
//!   [`replicas`](replicas()) the engine has a link to each; [`NatsReplicas`] watches who serves a plugin.
//! - `service` and `NatsService` (feature `service`) offer a plugin's methods to programs that use NATS alone: see
//!   [services](#services).
//! - [`NatsConfig`] has the servers, the login, limits and timeouts. Both ends use the same type.
//!
//! `client` and `plugin` are enabled by default. A link is a *session* of one engine and one replica, with numbered frames,
//! acknowledgements and credit: messages arrive in order, each once, or the link ends. Messages may be larger than the
//! server's `max_payload`, and small ones share a NATS message. Reconnecting, queues and the plugin handshake are
//! connector-core's work.
//!
//! # Subjects
//! With the default [`prefix`](NatsConfig#structfield.prefix), of the plugin `probe`:
//!
//! ```text
//!                      plugins.probe.open                       any replica opens a session (queue group)
//!  engine ───────────► plugins.probe.replica.<replica>.open     this replica opens a session, or answers a probe
//!                      plugins.probe.discover                   every replica answers
//!         ◄─────────── plugins.probe.announce                   a replica comes, drains, is gone
//!
//!  engine ───────────► plugins.probe.session.<session>.down ──► replica
//!         ◄─────────── plugins.probe.session.<session>.up   ◄── replica
//! ```
//!
//! Answers go to a session's `up` subject as well, so that neither end uses an inbox (`_INBOX.>`), which others could read.
//! docs/protocol.md, section 7.8, specifies the messages.
//!
//! # Permissions
//! A NATS server without users lets every program that reaches it serve and call every plugin. Give each plugin and each host a
//! user, which may do no more than this (for `nats-server.conf`):
//!
//! ```text
//! authorization {
//!     users = [
//!         { user: host, password: "…", permissions: {
//!             publish: ["plugins.*.open", "plugins.*.replica.*.open", "plugins.*.discover", "plugins.*.session.*.down"]
//!             subscribe: ["plugins.*.session.*.up", "plugins.*.announce"] } }
//!         { user: probe, password: "…", permissions: {
//!             publish: ["plugins.probe.session.*.up", "plugins.probe.announce"]
//!             subscribe: ["plugins.probe.open", "plugins.probe.replica.*.open", "plugins.probe.discover",
//!                         "plugins.probe.session.*.down"] } }
//!         # Only for services:
//!         { user: gateway, password: "…", permissions: {
//!             publish: ["_INBOX.>"]
//!             subscribe: ["plugins.probe.call.*", "$SRV.*", "$SRV.*.probe", "$SRV.*.probe.*"] } }
//!         { user: caller, password: "…", permissions: {
//!             publish: ["plugins.probe.call.*", "$SRV.>"]
//!             subscribe: ["_INBOX.>"] } }
//!     ]
//! }
//! ```
//!
//! The server then makes sure that a plugin speaks only as itself. It refuses a forbidden subject asynchronously; serving and
//! connecting check this and fail with an error that names the subject. Hosts that share a user can hear each other's
//! sessions: give them different prefixes, or NATS accounts. Sessions are not encrypted, apart from TLS to the server.
//!
//! # Services
//! With the feature `service`, an engine offers a plugin's methods as a NATS service
//! ([ADR-32](https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md)) to programs that know nothing of
//! plugins, such as the command `nats`:
//!
//! ```text
//! $ nats req plugins.calculator.call.add '[1, 2]'
//! 3
//! $ nats micro info calculator
//! ```
//!
//! `service(caller, "calculator", config)` makes an instance, and each program that does makes another: NATS sends each request
//! to one of them (queue group `q`). The plugin may run in the engine's process or behind any transport. A request is a JSON array
//! of arguments, or empty, and its answer the result as JSON; each is one NATS message. It is a call by `caller`, a plugin of the
//! engine: access rules, the queue, the limits and observers see this name, and not the requester, whom NATS does not tell.
//!
//! | `Nats-Service-Error-Code` | what happened |
//! | --- | --- |
//! | 400 | not an array, or arguments that the method does not accept |
//! | 403 | an access rule denies the call |
//! | 404 | the plugin or the method is not there any more |
//! | 413 | the request is longer than [`NatsConfig::max_message`] |
//! | 500 | an error of the method, or a result longer than one message may be |
//! | 502 | the link to the plugin was lost; the method may have run |
//! | 503 | busy ([`NatsConfig::max_requests`], or the plugin's queue), stopping or not active; try again later |
//! | 504 | [`NatsConfig::request_timeout`] or the plugin's `queue_timeout` has passed; the call is cancelled |
//!
//! `Nats-Service-Error` has the text. The methods are those that the profile lists when the service starts, without those of the
//! plugin's own services and those whose names have other characters than `A-Z a-z 0-9 _ -`. The version is the profile's, if it
//! is of the form `1.2.3`, and otherwise `0.0.0`.
//!
//! A request is not a link: if the connection or the instance is lost, the requester hears nothing, and its own time limit
//! ends it. Who may call is decided by the server's [permissions](#permissions): there, `gateway` serves and `caller` calls.
//! Callers that share `_INBOX.>` can read each other's answers. If they must not, give each its own inbox prefix, as
//! NATS's clients can, and let `gateway` publish to those.
//!
//! # Losses
//! | what happens | how a link ends | when |
//! | --- | --- | --- |
//! | the other end's process is killed | [`Lost`](connector_core::LinkEnd::Lost) | at the next probe: within 250 ms while a call is unanswered, otherwise 5 s |
//! | it hangs or is stopped (`SIGSTOP`) | [`Silent`](connector_core::LinkEnd::Silent) | after 15 s |
//! | it answers probes, but reads nothing although more waits for it | [`TooSlow`](connector_core::LinkEnd::TooSlow) | after 15 s |
//! | the connection to the server is lost | `Lost` | at once |
//! | the server refuses its frames | `Lost` | at once |
//! | the server lost frames (a slow consumer) | `Lost` | with the next frame or probe |
//! | a foreign program publishes into the session | [`BadFrame`](connector_core::LinkEnd::BadFrame) | at once |
//!
//! async-nats reconnects by itself, but forgets what it had not written: so a link never outlives its connection, and the
//! engine opens another session. A program that subscribes to everything (`>`), such as a monitor, hides from the server that
//! nobody else listens: while it runs, a killed process is noticed only as silent. A replica makes its connection again by
//! itself, with growing delays.
//!
//! # Limits
//! | what | default | setting |
//! | --- | --- | --- |
//! | one message | 16 MiB | [`NatsConfig::max_message`] |
//! | unread by the other end of a session | 1 MiB | [`NatsConfig::window`] |
//! | received in a session before the plugin handshake | 64 KiB | none |
//! | at the engine: incomplete messages of all replicas of a plugin | 4 of the largest; others wait | none |
//! | sessions of a replica | 256 | [`NatsConfig::max_sessions`] |
//! | reaching the server and opening a session | 5 s | [`NatsConfig::connect_timeout`] |
//! | a plugin handshake | 10 s | `ClientConfig::handshake_timeout` |
//! | a close without progress; in all | 1 s; 5 s | [`NatsConfig::close_timeout`] |
//! | requests that a replica answers at once | 256 | none |
//! | requests that an instance of a service runs at once | 256 | [`NatsConfig::max_requests`] |
//! | a request to a service | 30 s | [`NatsConfig::request_timeout`] |
//!
//! What foreign programs publish to a replica's subjects is ignored, and traced at most once a second.
//!
//! # Example
#![cfg_attr(all(feature = "client", feature = "plugin"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "client", feature = "plugin")), doc = "```ignore")]
//! use connector_core::{Engine, Plugin};
//! use transport_nats::NatsConfig;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In the plugin's program, which may run any number of times:
//! let calculator = Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b });
//! let serving = transport_nats::serve(move || calculator.clone(), NatsConfig::new("nats://127.0.0.1:4222")).await?;
//! tokio::spawn(serving);
//!
//! // In the host:
//! let engine = Engine::new();
//! let local = engine.register(Plugin::new("local"))?;
//! engine.register(transport_nats::plugin("calculator", NatsConfig::new("nats://127.0.0.1:4222")))?;
//! engine.manager().activate("local").await?;
//! assert_eq!(local.call::<i64>("calculator", "add", (1, 2)).await?, 3);
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//! Every transport exports functions named `serve` and `plugin`. Call them qualified, as `transport_nats::serve(…)`, and
//! import types individually: glob imports from two transports are ambiguous.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
mod config;
#[cfg(any(feature = "client", feature = "plugin"))]
mod connection;
#[cfg(any(feature = "client", feature = "plugin"))]
mod control;
#[cfg(any(feature = "client", feature = "plugin"))]
mod forbidden;
#[cfg(any(feature = "client", feature = "plugin"))]
mod link;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(any(feature = "client", feature = "plugin"))]
mod redial;
#[cfg(feature = "service")]
mod service;
#[cfg(any(feature = "client", feature = "plugin"))]
mod subjects;
pub mod tls;

#[cfg(feature = "client")]
pub use client::{NatsServer, ServeError, serve};
pub use config::{NatsConfig, NatsLogin};
#[cfg(feature = "plugin")]
pub use plugin::{NatsConnector, NatsReplicas, ReplicaChange, plugin, replicas};
#[cfg(feature = "service")]
pub use service::{NatsService, service};
#[cfg(any(feature = "client", feature = "plugin"))]
pub use subjects::SubjectError;

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
