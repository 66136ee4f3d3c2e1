//! STP over real sockets: services, the hub, and scripted peers that behave like the published connectors.
#![allow(unreachable_pub)]

mod admission;
mod bridge;
mod connector;
mod faults;
mod hub;
mod log;
mod losses;
mod memory;
mod peers;
mod support;
