//! **Pure**: the numbers of a session's frames, and how much may be sent.

use connector_core::LinkEnd;

use super::frame::Header;

/// What a data frame costs beyond its length, so that a window bounds the number of frames as well.
pub(crate) const FRAME_COST: usize = 256;

/// What a data frame of this length costs.
pub(crate) fn cost(length: usize) -> u64 {
    (length + FRAME_COST) as u64
}

/// The frames that this end sends.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The number of the next numbered frame.
    pub(crate) number: u64,
    sent: u64,
    read: u64,
    window: u64,
}

impl Outgoing {
    pub(crate) fn new(window: usize) -> Outgoing {
        Outgoing { number: 0, sent: 0, read: 0, window: window as u64 }
    }

    /// Whether a data frame of this length may be sent.
    pub(crate) fn may_send(&self, length: usize) -> bool {
        self.sent + cost(length) <= self.read + self.window
    }

    /// A numbered frame is sent.
    pub(crate) fn numbered(&mut self) {
        self.number += 1;
    }

    /// A data frame of this length is sent.
    pub(crate) fn data(&mut self, length: usize) {
        self.numbered();
        self.sent += cost(length);
    }

    /// How much the other end has read.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// Whether the other end has not read everything yet.
    pub(crate) fn is_unread(&self) -> bool {
        self.read < self.sent
    }

    /// The other end has read this much. Returns whether it is more than before.
    pub(crate) fn acknowledged(&mut self, read: u64) -> Result<bool, LinkEnd> {
        if read > self.sent {
            return Err(LinkEnd::BadFrame("the other end acknowledges data that were not sent".to_owned()));
        }
        // Frames may cross, so an older number is no error.
        let more = read > self.read;
        self.read = self.read.max(read);
        Ok(more)
    }
}

/// The frames that this end receives.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The number of the next numbered frame.
    number: u64,
    received: u64,
    read: u64,
    /// What the other end was told.
    reported: u64,
    window: u64,
}

impl Incoming {
    pub(crate) fn new(window: usize) -> Incoming {
        Incoming { number: 0, received: 0, read: 0, reported: 0, window: window as u64 }
    }

    /// Checks that no frame before this one is missing. NATS keeps the order of one sender's frames.
    pub(crate) fn check(&self, header: &Header) -> Result<(), LinkEnd> {
        match header.number.checked_sub(self.number) {
            Some(0) => Ok(()),
            Some(missing) => Err(LinkEnd::lost(format!(
                "{missing} frames of the session were lost between the NATS server and this end"
            ))),
            None => Err(LinkEnd::BadFrame("a frame's number was used before".to_owned())),
        }
    }

    /// A numbered frame has arrived.
    pub(crate) fn numbered(&mut self) {
        self.number += 1;
    }

    /// A data frame of this length has arrived.
    pub(crate) fn data(&mut self, length: usize) -> Result<(), LinkEnd> {
        self.numbered();
        self.received += cost(length);
        match self.received - self.read > self.window {
            true => Err(LinkEnd::BadFrame("the other end sent more than the session's window".to_owned())),
            false => Ok(()),
        }
    }

    /// A data frame of this length has been read by this end's owner.
    pub(crate) fn consume(&mut self, length: usize) {
        self.read += cost(length);
    }

    /// Whether the other end should be told now that it may send more.
    pub(crate) fn should_report(&self) -> bool {
        self.read - self.reported >= self.window / 4
    }

    /// Whether the other end was not told everything yet.
    pub(crate) fn is_unreported(&self) -> bool {
        self.read > self.reported
    }

    /// The number for a frame's header.
    pub(crate) fn report(&mut self) -> u64 {
        self.reported = self.read;
        self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::frame::Kind;

    fn header(number: u64) -> Header {
        Header { kind: Kind::Data, number, read: 0 }
    }

    #[test]
    fn a_window_bounds_what_is_unread() {
        let (mut out, mut incoming) = (Outgoing::new(1024), Incoming::new(1024));
        for _ in 0..100 {
            let mut frames = 0;
            while out.may_send(10) {
                out.data(10);
                incoming.data(10).unwrap();
                frames += 1;
            }
            assert_eq!(frames, 3, "1024 / (256 + 10)");
            for _ in 0..frames {
                incoming.consume(10);
            }
            assert!(incoming.should_report() && incoming.is_unreported() && out.is_unread());
            assert!(out.acknowledged(incoming.report()).unwrap());
            assert!(!incoming.is_unreported() && !out.is_unread());
        }
    }

    #[test]
    fn more_than_the_window_is_a_violation() {
        let mut incoming = Incoming::new(1024);
        incoming.data(1024 - FRAME_COST).unwrap();
        assert!(matches!(incoming.data(0), Err(LinkEnd::BadFrame(_))));
        let mut out = Outgoing::new(1024);
        out.data(1);
        assert!(matches!(out.acknowledged(cost(1) + 1), Err(LinkEnd::BadFrame(_))));
    }

    #[test]
    fn a_missing_frame_is_a_loss_and_a_repeated_one_a_violation() {
        let mut incoming = Incoming::new(1024);
        incoming.check(&header(0)).unwrap();
        incoming.data(1).unwrap();
        incoming.check(&header(1)).unwrap();
        assert!(matches!(incoming.check(&header(2)), Err(LinkEnd::Lost(_))));
        assert!(matches!(incoming.check(&header(u64::MAX)), Err(LinkEnd::Lost(_))));
        assert!(matches!(incoming.check(&header(0)), Err(LinkEnd::BadFrame(_))));
    }
}
