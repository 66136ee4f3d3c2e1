//! Unix sockets.

mod claim;
mod folder;
mod socket;

pub(crate) use socket::{Listener, Stream, check_peer, connect};
