//! Measures the free capacity of a connection's buffer. socketioxide reveals it only one slot at a time, by sending.

use std::cell::Cell;

use serde::ser::{Error, Serialize, Serializer};
use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};

/// The number of slots in a connection's buffer.
pub(super) const BUFFER: usize = 128;

/// Whether `slots` of the buffer are free, or the socket is closed, which sending then reports.
///
/// `emit` reserves a slot before it serializes, and releases it if serialization fails. A value that reserves the next
/// slot while it is serialized, and then fails, reserves any number of slots and sends nothing.
pub(super) fn has_capacity(socket: &SocketRef, slots: usize) -> bool {
    let full = Cell::new(false);
    reserve(socket, slots, &full);
    !full.get()
}

fn reserve(socket: &SocketRef, slots: usize, full: &Cell<bool>) {
    if slots == 0 {
        return;
    }
    if let Err(SendError::Socket(SocketError::InternalChannelFull)) =
        socket.emit("", &Probe { socket, left: Cell::new(slots - 1), full })
    {
        full.set(true);
    }
}

struct Probe<'a> {
    socket: &'a SocketRef,
    /// Taken on first use, because a value may be serialized more than once.
    left: Cell<usize>,
    full: &'a Cell<bool>,
}

impl Serialize for Probe<'_> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        reserve(self.socket, self.left.take(), self.full);
        Err(S::Error::custom(""))
    }
}
