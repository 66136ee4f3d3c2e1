//! Lines ⇄ messages; no I/O. One line is one message, on every channel.

use bytes::{Buf, BytesMut};
use connector_core::{DecodeError, LinkEnd, Message, PayloadError, SendError};
use tokio_util::codec::{Decoder, Encoder};

/// What a line that is not JSON means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stray {
    /// Somebody printed to a stream that carries messages: the line is skipped, the link lives.
    #[cfg(feature = "plugin")]
    Printed,
    /// The line is skipped, the link lives.
    Skip,
    /// It kills Node's own end of its channel (protocol.md, section 2), so it ends ours.
    #[cfg_attr(not(unix), allow(dead_code, reason = "that channel is for Unix alone"))]
    Fatal,
}

/// The codec of all channels.
#[derive(Debug)]
pub(crate) struct Lines {
    max_line: usize,
    stray: Stray,
    /// What of the buffer is known to hold no line's end.
    scanned: usize,
}

impl Lines {
    pub(crate) fn new(max_line: usize, stray: Stray) -> Lines {
        Lines { max_line, stray, scanned: 0 }
    }

    fn message(&self, line: bytes::Bytes) -> Result<Option<Result<Message, DecodeError>>, LinkEnd> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let start = line.slice(..line.len().min(SHOWN));
        match (Message::decode(line), self.stray) {
            (Err(DecodeError::NotAMessage(_)), Stray::Fatal) if is_nodes_own(&start) => Ok(None),
            (Err(DecodeError::NotJson(error)), Stray::Fatal) => {
                Err(LinkEnd::BadFrame(format!("a line that is not JSON ({error}): {}", shown(&start))))
            }
            #[cfg(feature = "plugin")]
            (Err(DecodeError::NotJson(_)), Stray::Printed) => Ok(Some(Err(DecodeError::NotJson(format!(
                "the plugin's program printed to its standard output, which carries messages alone; it should print to \
                 its standard error: {}",
                shown(&start)
            ))))),
            (message, _) => Ok(Some(message)),
        }
    }
}

/// So much of a bad line is shown.
const SHOWN: usize = 200;

fn shown(line: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(line))
}

/// Messages whose `cmd` begins with `NODE_` are between Node's own ends.
fn is_nodes_own(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"\"cmd\":\"NODE_").is_some()
}

impl Decoder for Lines {
    type Item = Result<Message, DecodeError>;
    type Error = LinkEnd;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, LinkEnd> {
        while let Some(found) = memchr::memchr(b'\n', &buffer[self.scanned..]) {
            let end = self.scanned + found;
            self.scanned = 0;
            if end > self.max_line {
                return Err(LinkEnd::TooLarge { limit: self.max_line });
            }
            let line = buffer.split_to(end).freeze();
            buffer.advance(1);
            if let Some(message) = self.message(line)? {
                return Ok(Some(message));
            }
        }
        self.scanned = buffer.len();
        if buffer.len() > self.max_line {
            return Err(LinkEnd::TooLarge { limit: self.max_line });
        }
        Ok(None)
    }

    /// A last line without an end was cut off in the middle.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Item>, LinkEnd> {
        if let Some(message) = self.decode(buffer)? {
            return Ok(Some(message));
        }
        let rest = buffer.split().freeze();
        self.scanned = 0;
        match rest.is_empty() {
            true => Ok(None),
            false => {
                let start = shown(&rest[..rest.len().min(SHOWN)]);
                Ok(Some(Err(DecodeError::NotJson(format!("cut off in the middle of a line: {start}")))))
            }
        }
    }
}

impl Encoder<Message> for Lines {
    type Error = SendError;

    fn encode(&mut self, message: Message, buffer: &mut BytesMut) -> Result<(), SendError> {
        // JSON as we write it holds no line's end, but a payload that came in as text may have been formatted over
        // several lines.
        let mut line = message.encode()?;
        if memchr::memchr2(b'\n', b'\r', &line).is_some() {
            for byte in &mut line {
                // Within a JSON string both must be escaped, so these can only be white space between its parts.
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        if line.len() > self.max_line {
            let text = format!(
                "a message of {} bytes is over the limit of {} (IpcConfig::max_line)",
                line.len(),
                self.max_line
            );
            return Err(PayloadError::NotSerializable(text).into());
        }
        buffer.reserve(line.len() + 1);
        buffer.extend_from_slice(&line);
        buffer.extend_from_slice(b"\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use connector_core::{Action, Payload};

    use super::*;

    fn codec(stray: Stray) -> Lines {
        Lines::new(64, stray)
    }

    /// All that comes of bytes that arrive in pieces.
    fn all(codec: &mut Lines, pieces: &[&str]) -> Result<Vec<Result<Action, String>>, LinkEnd> {
        let (mut buffer, mut got) = (BytesMut::new(), vec![]);
        for piece in pieces {
            buffer.extend_from_slice(piece.as_bytes());
            while let Some(item) = codec.decode(&mut buffer)? {
                got.push(item.map(|message| message.action).map_err(|error| error.to_string()));
            }
        }
        while let Some(item) = codec.decode_eof(&mut buffer)? {
            got.push(item.map(|message| message.action).map_err(|error| error.to_string()));
        }
        Ok(got)
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = "{\"action\":\"on\"}\n\n{\"action\":\"emit\"}\r\n  \n";
        for cut in 0..text.len() {
            let got = all(&mut codec(Stray::Skip), &[&text[..cut], &text[cut..]]).unwrap();
            assert_eq!(got, [Ok(Action::On), Ok(Action::Emit)], "cut at {cut}");
        }
    }

    #[cfg(feature = "plugin")]
    #[test]
    fn what_is_no_message_is_an_error_in_its_place() {
        let text = ["hello\n{\"action\":\"on\"}\n5\n"];
        let got = all(&mut codec(Stray::Printed), &text).unwrap();
        assert!(got[0].as_ref().unwrap_err().contains("printed to its standard output"), "{got:?}");
        assert_eq!(got[1], Ok(Action::On));
        assert!(got[2].is_err() && got.len() == 3);
        assert!(matches!(all(&mut codec(Stray::Fatal), &text), Err(LinkEnd::BadFrame(_))));
    }

    #[test]
    fn nodes_own_messages_are_nobodys() {
        let got = all(&mut codec(Stray::Fatal), &["{\"cmd\":\"NODE_HANDLE\"}\n{\"action\":\"on\"}\n"]).unwrap();
        assert_eq!(got, [Ok(Action::On)]);
    }

    #[test]
    fn half_a_line_is_told() {
        let got = all(&mut codec(Stray::Skip), &["{\"action\":\"on\"}\n{\"act"]).unwrap();
        assert_eq!(got[0], Ok(Action::On));
        assert!(got[1].as_ref().unwrap_err().contains("cut off in the middle"));
    }

    #[test]
    fn a_line_over_the_limit_ends_the_link_without_waiting_for_its_end() {
        for text in ["x".repeat(65), format!("\"{}\"\n", "x".repeat(63))] {
            assert!(matches!(all(&mut codec(Stray::Skip), &[&text]), Err(LinkEnd::TooLarge { limit: 64 })), "{text}");
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_its_payload_looks_like() {
        let mut message = Message::new(Action::Emit);
        message.payload = Some(Payload::from_json("[\n  \"a\\n\",\r\n  1\n]").unwrap());
        let mut buffer = BytesMut::new();
        codec(Stray::Skip).encode(message.clone(), &mut buffer).unwrap();
        assert_eq!(memchr::memchr_iter(b'\n', &buffer).collect::<Vec<_>>(), [buffer.len() - 1]);
        let back = codec(Stray::Skip).decode(&mut buffer).unwrap().unwrap().unwrap();
        assert_eq!(back.payload.unwrap().read::<(String, u8)>().unwrap(), ("a\n".to_owned(), 1));

        message.payload = Some(Payload::new("x".repeat(100)));
        assert!(matches!(codec(Stray::Skip).encode(message, &mut buffer), Err(SendError::Payload(_))));
        assert!(buffer.is_empty());
    }
}
