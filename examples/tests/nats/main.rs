//! Programs of plugins and engines over a real NATS server.
#![cfg(unix)]

#[cfg(has_nats)]
#[path = "../../../transport-nats/tests/common/broker.rs"]
mod broker;
#[cfg(has_nats)]
mod programs;
#[cfg(has_nats)]
mod replicas;
#[cfg(has_nats)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(has_nats)]
mod tour;

#[cfg(not(has_nats))]
#[test]
#[ignore = "needs a NATS server"]
fn programs() {
    panic!("built without a NATS server");
}
