//! JSON for messages: envelopes are parsed in one pass, and strings are written without inspecting every byte.
//!
//! The accepted and produced JSON is exactly serde_json's, which does the work wherever it is equally fast.

mod integers;
mod limits;
mod long;
mod plain;
mod read;
mod recover;
#[cfg(test)]
pub(super) mod strategy;
mod write;

pub(crate) use integers::{read, read_again, without_position};
pub(crate) use limits::{Exceeds, JsonLimits};
pub(crate) use long::deserialize_arguments;
pub(crate) use read::Reader;
pub(crate) use recover::members;
pub(crate) use write::{estimated_length, write, write_str};
