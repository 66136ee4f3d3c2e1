//! The guide's own transport, as it stands there: it passes the suite.
#![allow(
    clippy::disallowed_methods,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "it stands as in the guide, where it is a crate"
)]

mod conformance;
mod tcp;

const GUIDE: &str = include_str!("../../../docs/write-your-own-connector.md");

fn is_in_the_guide(code: &str) {
    assert!(GUIDE.contains(&format!("\n{code}```")), "the guide shows other code than:\n{code}");
}

#[test]
fn the_transport_and_its_fixture_are_the_guides() {
    is_in_the_guide(include_str!("tcp.rs"));
    is_in_the_guide(&include_str!("conformance.rs").replace("use crate::tcp", "use my_transport"));
    assert!(include_str!("tcp.rs").lines().count() < 80);
}
