//! The conformance suite over the transport in memory, and over transports that are wrong.

#![allow(clippy::print_stdout, reason = "a table of failures is there to be read")]
#![allow(clippy::disallowed_methods, reason = "tests run on tokio, not behind the crate's seam")]

mod faulty;
mod faulty_halves;
mod faulty_link;
mod faulty_place;
mod faulty_wakers;
mod suite;

mod memory {
    conformance::suite!(conformance::Memory, without: [Strangers, Silence]);
}
