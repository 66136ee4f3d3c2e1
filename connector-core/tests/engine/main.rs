//! The engine and its plugins over in-memory links, on virtual time.

#![allow(clippy::disallowed_methods, reason = "tests run on tokio, not behind the crate's seam")]

mod access;
mod activation;
mod agreement;
mod answers;
mod bounds;
mod budgets;
mod callers;
mod calls;
mod calls_during_activation;
mod cancel;
mod connect_errors;
mod corner_cases;
mod deadlines;
mod decisions;
mod dropped_engine;
mod emit_within;
mod envelopes;
mod events;
mod fairness;
mod handlers;
mod handshake_timeout;
mod health;
mod lending;
mod lifecycle;
mod lifecycle_model;
mod limits;
mod link_loss;
mod manager;
mod numbers;
mod observer;
mod panics;
mod plugin_errors;
mod queue;
mod reentrancy;
mod replicas;
mod scripted_peer;

mod graceful_stop;
mod keepalive;
mod lifecycle_corner_cases;
mod peers;
mod runtimes;
mod script;
mod serialize_panics;
mod services;
mod settings;
mod stalls;
mod subscriptions;
mod support;
mod trace_contexts;
mod trace_limits;
mod transitions;
