//! Plugins and engines over a real NATS server.
#![cfg(all(has_nats, feature = "client", feature = "plugin"))]

#[path = "../common/broker.rs"]
mod broker;
mod connect;
mod losses;
mod permissions;
mod replicas;
mod rubbish;
mod sizes;
mod support;
