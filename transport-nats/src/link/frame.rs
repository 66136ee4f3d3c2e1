//! The frames of a session: a header of 17 bytes, then the frame's content.

/// The header's length.
pub(crate) const HEADER: usize = 17;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Messages, or a part of one. Numbered.
    Data = 1,
    /// Tells the numbers in the header.
    Status = 2,
    /// A status that asks for one.
    Probe = 3,
    /// This end has sent everything and closes. Numbered.
    Close = 4,
    /// The answer to a close.
    Closed = 5,
    /// This end has left without a close. The content says why.
    Gone = 6,
}

/// The first bytes of each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// The number of numbered frames that this end has sent before this frame.
    pub(crate) number: u64,
    /// The cost of the data frames that this end has read.
    pub(crate) read: u64,
}

impl Header {
    pub(crate) fn write(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = self.kind as u8;
        bytes[1..9].copy_from_slice(&self.number.to_be_bytes());
        bytes[9..].copy_from_slice(&self.read.to_be_bytes());
        bytes
    }

    /// `None` if it is not a frame.
    pub(crate) fn read(frame: &[u8]) -> Option<Header> {
        let (kind, rest) = frame.split_first()?;
        let kind = match kind {
            1 => Kind::Data,
            2 => Kind::Status,
            3 => Kind::Probe,
            4 => Kind::Close,
            5 => Kind::Closed,
            6 => Kind::Gone,
            _ => return None,
        };
        let number = u64::from_be_bytes(*rest.first_chunk()?);
        let read = u64::from_be_bytes(*rest.get(8..)?.first_chunk()?);
        Some(Header { kind, number, read })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_and_other_bytes_are_none() {
        for kind in [Kind::Data, Kind::Status, Kind::Probe, Kind::Close, Kind::Closed, Kind::Gone] {
            let header = Header { kind, number: u64::MAX - 1, read: 1 << 40 };
            let bytes = header.write();
            assert_eq!(Header::read(&bytes), Some(header));
            assert_eq!(Header::read(&[&bytes[..], b"x"].concat()), Some(header));
            for length in 0..HEADER {
                assert_eq!(Header::read(&bytes[..length]), None);
            }
        }
        for other in [[0; HEADER], [7; HEADER], [b'{'; HEADER]] {
            assert_eq!(Header::read(&other), None);
        }
    }
}
