//! Converts lines to messages and back, without I/O. On every channel one line is one message.

use bytes::{Buf, BytesMut};
use connector_core::{DecodeError, LinkEnd, Message, PayloadError};

/// The result of a line that is not a message.
pub(crate) enum Undecoded {
    /// Not meant for this end: skip it.
    Skip,
    /// A decoding error, to be reported in its position.
    Error(DecodeError),
    /// The end of the link.
    End(LinkEnd),
}

/// How to treat a line that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stray {
    /// Something was printed to a stream that carries messages: the line is skipped, the link stays up.
    #[cfg(feature = "plugin")]
    Printed,
    /// The line is reported as a decoding error, and the link stays up.
    Report,
    /// It kills a Node peer (docs/protocol.md, section 7.4), so it ends the link here too.
    #[cfg_attr(not(unix), allow(dead_code, reason = "Node's channel exists on Unix only"))]
    Fatal,
}

/// The codec of every channel.
#[derive(Debug)]
pub(crate) struct Lines {
    max_message: usize,
    stray: Stray,
    /// The length of the buffer's prefix that contains no newline.
    scanned: usize,
}

impl Lines {
    pub(crate) fn new(max_message: usize, stray: Stray) -> Lines {
        Lines { max_message, stray, scanned: 0 }
    }

    /// The length of the next line, if it is complete.
    ///
    /// # Errors
    /// The line is too long, even if it is not complete yet.
    pub(crate) fn next(&mut self, buffer: &[u8]) -> Result<Option<usize>, LinkEnd> {
        let end = memchr::memchr(b'\n', &buffer[self.scanned..]).map(|found| self.scanned + found);
        self.scanned = if end.is_some() { 0 } else { buffer.len() };
        match end.unwrap_or(buffer.len()) > self.max_message {
            true => Err(LinkEnd::TooLarge { limit: self.max_message }),
            false => Ok(end),
        }
    }

    /// Decodes a line of that length and removes it from the buffer.
    ///
    /// # Errors
    /// The line is not a message.
    pub(crate) fn take(&self, buffer: &mut BytesMut, length: usize) -> Result<Message, Undecoded> {
        if length > SHORT {
            let line = buffer.split_to(length).freeze();
            buffer.advance(1);
            return Message::decode(line.clone()).map_err(|error| self.stray(error, &line));
        }
        let line = &buffer[..length];
        if line.iter().all(u8::is_ascii_whitespace) {
            buffer.advance(length + 1);
            return Err(Undecoded::Skip);
        }
        let message = Message::decode_copied(line).map_err(|error| self.stray(error, line));
        buffer.advance(length + 1);
        message
    }

    fn stray(&self, error: DecodeError, line: &[u8]) -> Undecoded {
        match (&error, self.stray) {
            (DecodeError::NotAMessage(_), Stray::Fatal) if is_node_internal(line) => Undecoded::Skip,
            // Node reads each byte that is not UTF-8 as U+FFFD and continues.
            (DecodeError::Partial { .. }, Stray::Fatal) if std::str::from_utf8(line).is_err() => {
                Undecoded::Error(error)
            }
            (DecodeError::NotJson(why), Stray::Fatal) => not_json(why, line),
            (DecodeError::Partial { why, .. }, Stray::Fatal) => match &**why {
                DecodeError::NotJson(why) => not_json(why, line),
                _ => Undecoded::Error(error),
            },
            #[cfg(feature = "plugin")]
            (DecodeError::NotJson(_), Stray::Printed) => Undecoded::Error(DecodeError::NotJson(format!(
                "the plugin's program printed to its standard output, which carries only messages; it should print to \
                its standard error: {}",
                shown(line)
            ))),
            _ => Undecoded::Error(error),
        }
    }

    /// The error for an incomplete last line at the end of the stream.
    pub(crate) fn last(&mut self, buffer: &mut BytesMut) -> Option<DecodeError> {
        let rest = std::mem::take(buffer);
        self.scanned = 0;
        (!rest.is_empty())
            .then(|| DecodeError::NotJson(format!("incomplete line at the end of the stream: {}", shown(&rest))))
    }

    /// Appends a message's line.
    ///
    /// # Errors
    /// It cannot be serialized or is too long; `out` is unchanged.
    pub(crate) fn encode(&self, message: &Message, out: &mut Vec<u8>) -> Result<(), PayloadError> {
        let start = out.len();
        message.encode_into(out)?;
        let line = &mut out[start..];
        // Serialized JSON contains no line breaks, but a payload received as text may be formatted over several lines.
        if memchr::memchr2(b'\n', b'\r', line).is_some() {
            for byte in line {
                // Within a JSON string both must be escaped, so these are whitespace between tokens.
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        let length = out.len() - start;
        if length > self.max_message {
            out.truncate(start);
            return Err(PayloadError::TooLarge {
                bytes: length,
                limit: self.max_message,
                setting: "IpcConfig::max_message at both ends",
            });
        }
        out.push(b'\n');
        Ok(())
    }
}

// PERF: docs/performance.md, "Codecs and queues": -4 % instructions for a small message.
/// A line of up to this many bytes is decoded in place; a longer one is split off the buffer and shares its memory with
/// the payload.
const SHORT: usize = 16 * 1024;

/// The number of bytes of a bad line that are shown.
const SHOWN: usize = 200;

fn shown(line: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&line[..line.len().min(SHOWN)]))
}

fn not_json(why: &str, line: &[u8]) -> Undecoded {
    Undecoded::End(LinkEnd::BadFrame(format!("a line that is not JSON ({why}): {}", shown(line))))
}

/// Messages whose `cmd` begins with `NODE_` are internal to Node.
fn is_node_internal(line: &[u8]) -> bool {
    memchr::memmem::find(&line[..line.len().min(SHOWN)], b"\"cmd\":\"NODE_").is_some()
}

#[cfg(test)]
mod tests {
    use connector_core::{Action, Payload};

    use super::*;

    fn codec(stray: Stray) -> Lines {
        Lines::new(64, stray)
    }

    /// Everything decoded from bytes that arrive in pieces.
    fn all(codec: &mut Lines, pieces: &[&str]) -> Result<Vec<Result<Action, String>>, LinkEnd> {
        let (mut buffer, mut got) = (BytesMut::new(), vec![]);
        for piece in pieces {
            buffer.extend_from_slice(piece.as_bytes());
            while let Some(length) = codec.next(&buffer)? {
                match codec.take(&mut buffer, length) {
                    Ok(message) => got.push(Ok(message)),
                    Err(Undecoded::Skip) => {}
                    Err(Undecoded::Error(error)) => got.push(Err(error)),
                    Err(Undecoded::End(end)) => return Err(end),
                }
            }
        }
        got.extend(codec.last(&mut buffer).map(Err));
        let summary =
            |item: Result<Message, DecodeError>| item.map(|message| message.action).map_err(|error| error.to_string());
        Ok(got.into_iter().map(summary).collect())
    }

    #[test]
    fn lines_are_reassembled_from_any_pieces() {
        let text = "{\"action\":\"on\"}\n\n{\"action\":\"emit\"}\r\n  \n";
        for cut in 0..text.len() {
            let got = all(&mut codec(Stray::Report), &[&text[..cut], &text[cut..]]).unwrap();
            assert_eq!(got, [Ok(Action::On), Ok(Action::Emit)], "cut at {cut}");
        }
    }

    #[cfg(feature = "plugin")]
    #[test]
    fn a_line_that_is_not_a_message_is_an_error_in_order() {
        let text = ["hello\n{\"action\":\"on\"}\n5\n"];
        let got = all(&mut codec(Stray::Printed), &text).unwrap();
        assert!(got[0].as_ref().unwrap_err().contains("printed to its standard output"), "{got:?}");
        assert_eq!(got[1], Ok(Action::On));
        assert!(got[2].is_err() && got.len() == 3);
        assert!(matches!(all(&mut codec(Stray::Fatal), &text), Err(LinkEnd::BadFrame(_))));
    }

    #[cfg(feature = "plugin")]
    #[test]
    fn a_message_with_invalid_json_is_not_reported_as_a_stray_print() {
        let mut buffer = BytesMut::from(&b"{\"action\":\"response\",\"id\":7,\"payload\":NaN}\n"[..]);
        let length = buffer.len() - 1;
        match codec(Stray::Printed).take(&mut buffer.clone(), length) {
            Err(Undecoded::Error(error @ DecodeError::Partial { .. })) => {
                assert!(!error.to_string().contains("printed"), "{error}");
            }
            _ => panic!("it should be partly decoded"),
        }
        assert!(matches!(codec(Stray::Fatal).take(&mut buffer, length), Err(Undecoded::End(_))));
        let mut buffer = BytesMut::from(&b"{\"action\":\"request\",\"id\":7,\"key\":\"\xff\"}\n"[..]);
        let length = buffer.len() - 1;
        assert!(matches!(codec(Stray::Fatal).take(&mut buffer, length), Err(Undecoded::Error(_))));
    }

    #[test]
    fn half_a_surrogate_pair_does_not_end_the_link() {
        let line = "{\"action\":\"on\",\"key\":\"\\ud83d\"}\n";
        assert_eq!(all(&mut codec(Stray::Fatal), &[line]).unwrap(), [Ok(Action::On)]);
    }

    #[test]
    fn nodes_internal_messages_are_skipped() {
        let got = all(&mut codec(Stray::Fatal), &["{\"cmd\":\"NODE_HANDLE\"}\n{\"action\":\"on\"}\n"]).unwrap();
        assert_eq!(got, [Ok(Action::On)]);
    }

    #[test]
    fn an_incomplete_last_line_is_an_error() {
        let got = all(&mut codec(Stray::Report), &["{\"action\":\"on\"}\n{\"act"]).unwrap();
        assert_eq!(got[0], Ok(Action::On));
        assert!(got[1].as_ref().unwrap_err().contains("incomplete line"));
    }

    #[test]
    fn a_line_over_the_limit_ends_the_link_before_it_is_complete() {
        for text in ["x".repeat(65), format!("\"{}\"\n", "x".repeat(63))] {
            assert!(matches!(all(&mut codec(Stray::Report), &[&text]), Err(LinkEnd::TooLarge { limit: 64 })), "{text}");
        }
    }

    #[test]
    fn a_message_is_one_line_however_its_payload_is_formatted() {
        let mut message = Message::new(Action::Emit);
        message.payload = Some(Payload::from_json("[\n  \"a\\n\",\r\n  1\n]").unwrap());
        let mut line = vec![];
        codec(Stray::Report).encode(&message, &mut line).unwrap();
        assert_eq!(memchr::memchr_iter(b'\n', &line).collect::<Vec<_>>(), [line.len() - 1]);
        let back = Message::decode(line.clone().into()).unwrap();
        assert_eq!(back.payload.unwrap().read::<(String, u8)>().unwrap(), ("a\n".to_owned(), 1));

        message.payload = Some(Payload::new("x".repeat(100)));
        let before = line.clone();
        assert!(codec(Stray::Report).encode(&message, &mut line).is_err());
        assert_eq!(line, before);
    }
}
