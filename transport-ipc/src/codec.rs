//! Lines ⇄ messages; no I/O. One line is one message, on every channel.

use bytes::{Buf, BytesMut};
use connector_core::{DecodeError, LinkEnd, Message, PayloadError};

/// What a line is that is no message.
pub(crate) enum NoMessage {
    /// Nobody's: it is skipped.
    Nothing,
    /// To be told in its place.
    Error(DecodeError),
    /// The end of the link.
    End(LinkEnd),
}

/// What a line that is not JSON means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stray {
    /// Somebody printed to a stream that carries messages: the line is skipped, the link lives.
    #[cfg(feature = "plugin")]
    Printed,
    /// The line is skipped, the link lives.
    Skip,
    /// It kills Node's own end of its channel (docs/protocol.md, section 7.4), so it ends ours.
    #[cfg_attr(not(unix), allow(dead_code, reason = "that channel is for Unix alone"))]
    Fatal,
}

/// The codec of all channels.
#[derive(Debug)]
pub(crate) struct Lines {
    max_message: usize,
    stray: Stray,
    /// What of the buffer is known to hold no line's end.
    scanned: usize,
}

impl Lines {
    pub(crate) fn new(max_message: usize, stray: Stray) -> Lines {
        Lines { max_message, stray, scanned: 0 }
    }

    /// The length of the next line, if it is there to its end.
    ///
    /// # Errors
    /// It is too long, even if its end has not come yet.
    pub(crate) fn next(&mut self, buffer: &[u8]) -> Result<Option<usize>, LinkEnd> {
        let end = memchr::memchr(b'\n', &buffer[self.scanned..]).map(|found| self.scanned + found);
        self.scanned = if end.is_some() { 0 } else { buffer.len() };
        match end.unwrap_or(buffer.len()) > self.max_message {
            true => Err(LinkEnd::TooLarge { limit: self.max_message }),
            false => Ok(end),
        }
    }

    /// Takes a line of that length.
    ///
    /// # Errors
    /// It is no message.
    pub(crate) fn take(&self, buffer: &mut BytesMut, length: usize) -> Result<Message, NoMessage> {
        if length > SHORT {
            let line = buffer.split_to(length).freeze();
            buffer.advance(1);
            return Message::decode(line.clone()).map_err(|error| self.stray(error, &line));
        }
        let line = &buffer[..length];
        if line.iter().all(u8::is_ascii_whitespace) {
            buffer.advance(length + 1);
            return Err(NoMessage::Nothing);
        }
        let message = Message::decode_copied(line).map_err(|error| self.stray(error, line));
        buffer.advance(length + 1);
        message
    }

    fn stray(&self, error: DecodeError, line: &[u8]) -> NoMessage {
        match (&error, self.stray) {
            (DecodeError::NotAMessage(_), Stray::Fatal) if is_nodes_own(line) => NoMessage::Nothing,
            // Node reads each byte that is not UTF-8 as U+FFFD, and lives.
            (DecodeError::Partial { .. }, Stray::Fatal) if std::str::from_utf8(line).is_err() => {
                NoMessage::Error(error)
            }
            (DecodeError::NotJson(why), Stray::Fatal) => not_json(why, line),
            (DecodeError::Partial { why, .. }, Stray::Fatal) => match &**why {
                DecodeError::NotJson(why) => not_json(why, line),
                _ => NoMessage::Error(error),
            },
            #[cfg(feature = "plugin")]
            (DecodeError::NotJson(_), Stray::Printed) => NoMessage::Error(DecodeError::NotJson(format!(
                "the plugin's program printed to its standard output, which carries messages alone; it should print to \
                 its standard error: {}",
                shown(line)
            ))),
            _ => NoMessage::Error(error),
        }
    }

    /// What is left when no more will come: a line without an end, which was cut off in the middle.
    pub(crate) fn last(&mut self, buffer: &mut BytesMut) -> Option<DecodeError> {
        let rest = std::mem::take(buffer);
        self.scanned = 0;
        (!rest.is_empty()).then(|| DecodeError::NotJson(format!("cut off in the middle of a line: {}", shown(&rest))))
    }

    /// Appends a message's line.
    ///
    /// # Errors
    /// It cannot be serialized or is too long; `out` is left as it was.
    pub(crate) fn encode(&self, message: &Message, out: &mut Vec<u8>) -> Result<(), PayloadError> {
        let start = out.len();
        message.encode_into(out)?;
        let line = &mut out[start..];
        // JSON as we write it holds no line's end, but a payload that came in as text may have been formatted over
        // several lines.
        if memchr::memchr2(b'\n', b'\r', line).is_some() {
            for byte in line {
                // Within a JSON string both must be escaped, so these can only be white space between its parts.
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        let length = out.len() - start;
        if length > self.max_message {
            out.truncate(start);
            return Err(PayloadError::NotSerializable(format!(
                "a message of {length} bytes is over the limit of {} (IpcConfig::max_message)",
                self.max_message
            )));
        }
        out.push(b'\n');
        Ok(())
    }
}

/// A line of so many bytes is read where it lies; a longer one is cut out of the buffer, and its payload with it.
const SHORT: usize = 16 * 1024;

/// So much of a bad line is shown.
const SHOWN: usize = 200;

fn shown(line: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&line[..line.len().min(SHOWN)]))
}

fn not_json(why: &str, line: &[u8]) -> NoMessage {
    NoMessage::End(LinkEnd::BadFrame(format!("a line that is not JSON ({why}): {}", shown(line))))
}

/// Messages whose `cmd` begins with `NODE_` are between Node's own ends.
fn is_nodes_own(line: &[u8]) -> bool {
    memchr::memmem::find(&line[..line.len().min(SHOWN)], b"\"cmd\":\"NODE_").is_some()
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
            while let Some(length) = codec.next(&buffer)? {
                match codec.take(&mut buffer, length) {
                    Ok(message) => got.push(Ok(message)),
                    Err(NoMessage::Nothing) => {}
                    Err(NoMessage::Error(error)) => got.push(Err(error)),
                    Err(NoMessage::End(end)) => return Err(end),
                }
            }
        }
        got.extend(codec.last(&mut buffer).map(Err));
        let told =
            |item: Result<Message, DecodeError>| item.map(|message| message.action).map_err(|error| error.to_string());
        Ok(got.into_iter().map(told).collect())
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

    #[cfg(feature = "plugin")]
    #[test]
    fn a_message_that_is_not_json_is_no_stray_print() {
        let mut buffer = BytesMut::from(&b"{\"action\":\"response\",\"id\":7,\"payload\":NaN}\n"[..]);
        let length = buffer.len() - 1;
        match codec(Stray::Printed).take(&mut buffer.clone(), length) {
            Err(NoMessage::Error(error @ DecodeError::Partial { .. })) => {
                assert!(!error.to_string().contains("printed"), "{error}");
            }
            _ => panic!("it could be read in part"),
        }
        assert!(matches!(codec(Stray::Fatal).take(&mut buffer, length), Err(NoMessage::End(_))));
        let mut buffer = BytesMut::from(&b"{\"action\":\"request\",\"id\":7,\"key\":\"\xff\"}\n"[..]);
        let length = buffer.len() - 1;
        assert!(matches!(codec(Stray::Fatal).take(&mut buffer, length), Err(NoMessage::Error(_))));
    }

    #[test]
    fn half_a_surrogate_pair_ends_no_link() {
        let line = "{\"action\":\"on\",\"key\":\"\\ud83d\"}\n";
        assert_eq!(all(&mut codec(Stray::Fatal), &[line]).unwrap(), [Ok(Action::On)]);
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
        let mut line = vec![];
        codec(Stray::Skip).encode(&message, &mut line).unwrap();
        assert_eq!(memchr::memchr_iter(b'\n', &line).collect::<Vec<_>>(), [line.len() - 1]);
        let back = Message::decode(line.clone().into()).unwrap();
        assert_eq!(back.payload.unwrap().read::<(String, u8)>().unwrap(), ("a\n".to_owned(), 1));

        message.payload = Some(Payload::new("x".repeat(100)));
        let before = line.clone();
        assert!(codec(Stray::Skip).encode(&message, &mut line).is_err());
        assert_eq!(line, before);
    }
}
