//! The inspector's server, as its page and programs see it.
#![cfg(feature = "server")]

mod access;
mod limits;
mod requests;
mod state;
mod support;
