//! The engine and its plugins over links in memory, on virtual time.

#![allow(clippy::disallowed_methods, reason = "tests run on tokio, not behind the crate's seam")]

mod access;
mod activation;
mod callers;
mod calls;
mod cancel;
mod connect_errors;
mod decisions;
mod early;
mod edges;
mod events;
mod fairness;
mod faults;
mod gone;
mod hand;
mod handlers;
mod health;
mod lifecycle;
mod loss;
mod manager;
mod model;
mod numbers;
mod odd;
mod panics;
mod queue;
mod reentry;

mod script;
mod services;
mod silence;
mod stalls;
mod stop;
mod subscriptions;
mod support;
mod transitions;
mod variants;
mod wire;
