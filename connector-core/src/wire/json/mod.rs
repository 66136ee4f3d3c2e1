//! JSON as messages need it: envelopes read in one pass, text written without a look at every byte.
//!
//! What is read and written is what serde_json reads and writes, and wherever it is as fast it does the work.

mod integers;
mod read;
mod recover;
mod write;

pub(crate) use integers::{read, read_again, without_position};
pub(crate) use read::Reader;
pub(crate) use recover::members;
pub(crate) use write::{write, write_str};
