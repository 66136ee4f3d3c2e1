//! The engine and its plugins over links in memory, on virtual time.
#![allow(missing_docs, unreachable_pub)]

mod script;
mod support;
