//! Programs of plugins and engines over a real NATS server.
#![cfg(unix)]

#[cfg(all(has_nats, has_network_namespaces))]
mod apart;
#[cfg(has_nats)]
#[path = "../../../transport-nats/tests/common/broker.rs"]
mod broker;
#[cfg(all(has_nats, has_cc, target_os = "linux"))]
mod clock;
#[cfg(has_nats)]
mod distant;
#[cfg(has_nats)]
mod programs;
#[cfg(has_nats)]
mod replicas;
#[cfg(all(has_nats, target_os = "linux"))]
mod stalled;
#[cfg(has_nats)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(has_nats)]
mod tour;

#[cfg(not(has_network_namespaces))]
#[test]
#[ignore = "needs network namespaces: root on Linux, with unshare, nsenter and ip"]
fn hosts_apart() {
    panic!("built without network namespaces");
}

#[cfg(not(all(has_cc, target_os = "linux")))]
#[test]
#[ignore = "needs a C compiler and Linux"]
fn a_clock_that_is_off() {
    panic!("built without a C compiler, or not on Linux");
}

#[cfg(not(has_nats))]
#[test]
#[ignore = "needs a NATS server"]
fn programs() {
    panic!("built without a NATS server");
}
