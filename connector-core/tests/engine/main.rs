//! The engine and its plugins over links in memory, on virtual time.
#![allow(missing_docs, unreachable_pub, clippy::disallowed_methods)]

mod script;
mod support;
