//! The transport from the guide, copied verbatim, passes the suite.
#![allow(
    clippy::disallowed_methods,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "copied verbatim from the guide, where it is a crate"
)]

mod conformance;
mod tcp;

const GUIDE: &str = include_str!("../../../docs/write-your-own-connector.md");

fn is_in_the_guide(code: &str) {
    assert!(GUIDE.contains(&format!("\n{code}```")), "the guide does not contain this code:\n{code}");
}

#[test]
fn the_guide_contains_the_transport_and_its_fixture() {
    is_in_the_guide(include_str!("tcp.rs"));
    is_in_the_guide(&include_str!("conformance.rs").replace("use crate::tcp", "use my_transport"));
    assert!(include_str!("tcp.rs").lines().count() < 80);
}
