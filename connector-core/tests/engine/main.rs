//! The engine and its plugins over links in memory, on virtual time.

#![allow(clippy::disallowed_methods, reason = "tests run on tokio, not behind the crate's seam")]

mod activation;
mod calls;
mod cancel;
mod edges;
mod events;
mod fairness;
mod gone;
mod hand;
mod handlers;
mod health;
mod lifecycle;
mod loss;
mod manager;
mod odd;
mod queue;
mod reentry;
mod script;
mod services;
mod support;
mod wire;
