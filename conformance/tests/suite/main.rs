//! The conformance suite over the in-memory transport and over faulty ones.

#![allow(clippy::print_stdout, reason = "prints a table of failures")]
#![allow(clippy::disallowed_methods, reason = "tests use tokio directly")]

mod faulty;
mod faulty_endpoints;
mod faulty_halves;
mod faulty_link;
mod faulty_wakers;
mod suite;

mod memory {
    conformance::suite!(conformance::Memory, without: [IdleConnections, Silence]);
}

mod observed {
    conformance::suite!(conformance::Observed(conformance::Memory), without: [IdleConnections, Silence]);
}
