//! The conformance suite over the transport in memory, and over transports that are wrong.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::disallowed_methods, reason = "tests run on tokio, not behind the crate's seam")]

mod memory {
    connector_core::conformance::suite!(connector_core::conformance::Memory);
}
