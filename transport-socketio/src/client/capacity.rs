//! Whether a connection's buffer has room, which socketioxide says of one place at a time, and only by sending.

use std::cell::Cell;

use serde::ser::{Error, Serialize, Serializer};
use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};

/// The places of a connection's buffer.
pub(super) const BUFFER: usize = 128;

/// Whether `places` of the buffer are free, or the socket is gone so that sending will say so.
///
/// `emit` takes a place before it serializes, and gives it back if that fails. A value that asks for the next place
/// while it is serialized, and then refuses to be, holds as many places as it has asked for, and sends nothing.
pub(super) fn has_capacity(socket: &SocketRef, places: usize) -> bool {
    let full = Cell::new(false);
    take(socket, places, &full);
    !full.get()
}

fn take(socket: &SocketRef, places: usize, full: &Cell<bool>) {
    if places == 0 {
        return;
    }
    if let Err(SendError::Socket(SocketError::InternalChannelFull)) =
        socket.emit("", &Asking { socket, left: Cell::new(places - 1), full })
    {
        full.set(true);
    }
}

struct Asking<'a> {
    socket: &'a SocketRef,
    /// Asked for once: a value may be serialized more than once.
    left: Cell<usize>,
    full: &'a Cell<bool>,
}

impl Serialize for Asking<'_> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        take(self.socket, self.left.take(), self.full);
        Err(S::Error::custom(""))
    }
}
