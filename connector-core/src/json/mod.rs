//! JSON as messages need it: envelopes read in one pass, text written without a look at every byte.
//!
//! What is read and written is what serde_json reads and writes, and wherever it is as fast it does the work.

mod read;
mod recover;
mod whole;
mod write;

pub(crate) use read::Reader;
pub(crate) use recover::members;
pub(crate) use whole::{read, read_again, without_position};
pub(crate) use write::{write, write_str};
