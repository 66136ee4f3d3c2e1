//! Traces and metrics of the calls in an engine, by the stable names of OpenTelemetry's conventions for RPC.
//!
//! - Feature `otel`: the module `otel` makes a client and a server span of each call, and records its durations, through the
//!   OpenTelemetry API. The trace continues with the call to its target, over links as well, and with the calls that are made
//!   for it.
//! - Feature `prometheus`: the module `prometheus` keeps the durations itself, and shows them as `/metrics`.
//!
//! Each attaches an observer to the engine, until the returned value is dropped. Nothing else changes, and a plugin needs
//! nothing: the engine makes the spans of both ends. A plugin that makes its own spans joins them to the engine's with
//! `otel::parent` and `otel::trace_context`.
//!
//! Arguments, results and the texts of errors do not become attributes, because they may contain secrets.
//!
//! # Names
//!
//! | name | what |
//! | --- | --- |
//! | span kind `CLIENT` | from the call until its end, as its caller sees it: with the activation of the target and the time in its queue |
//! | span kind `SERVER` | while the target runs the method |
//! | `rpc.client.call.duration`, `rpc.server.call.duration` | the same durations as histograms, in seconds |
//! | `rpc.system.name` | `plugin_connectors` |
//! | `rpc.method` | `plugin/method`, also the span's name; `_OTHER` for what the plugin does not expose, so that callers cannot make up series |
//! | `rpc.method_original` | on spans: what the caller named, if that differs: a service's path, or a method that does not exist |
//! | `rpc.status_code` | `ok`, or how the call failed: `plugin` (the method's own error), `badArguments`, `refused`, `timedOut`, `cancelled`, `linkLost` |
//! | `error.type` | the same, of failed calls only |
//! | `server.address`, `server.port` | on spans: where the target is, if it is behind a network |
//! | `plugin.caller` | on spans: the calling plugin |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "otel", feature = "prometheus"))]
mod call;
#[cfg(feature = "otel")]
pub mod otel;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(all(doctest, feature = "otel", feature = "prometheus"))]
#[doc = include_str!("../README.md")]
mod readme {}
