//! Plugins and engines over a real NATS server.
#![cfg(all(feature = "client", feature = "plugin"))]

#[cfg(has_nats)]
#[path = "../common/broker.rs"]
mod broker;
#[cfg(has_nats)]
mod connect;
#[cfg(has_nats)]
mod halves;
#[cfg(has_nats)]
mod idle;
#[cfg(has_nats)]
mod lending;
#[cfg(has_nats)]
mod logins;
#[cfg(has_nats)]
mod losses;
#[cfg(has_nats)]
mod permissions;
#[cfg(has_nats)]
mod replicas;
#[cfg(has_nats)]
mod rubbish;
#[cfg(all(has_nats, feature = "service"))]
mod service;
#[cfg(has_nats)]
mod sizes;
#[cfg(has_nats)]
mod slow;
#[cfg(has_nats)]
mod support;
#[cfg(has_nats)]
mod versions;

#[cfg(not(has_nats))]
#[test]
#[ignore = "needs a NATS server: install nats-server, or set NATS_SERVER"]
fn plugins_and_engines() {
    panic!("built without a NATS server");
}
