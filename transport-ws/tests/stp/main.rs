//! STP over real sockets: services, the hub, and peers played by hand as the published connectors speak.
#![allow(unreachable_pub)]

mod bridge;
mod connector;
mod faults;
mod hub;
mod losses;
mod peers;
mod support;
