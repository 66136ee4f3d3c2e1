//! What the commands print.

use std::io::Write;

use connector_core::Payload;

use crate::failure::Failure;

/// Prints a line. Ends the command quietly if nothing reads its output any more, for example `head`.
pub(crate) fn print(line: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::unread()),
        written => written.map_err(|error| Failure::machine(format!("cannot print: {error}"))),
    }
}

/// A text of a plugin, or JSON, as one line: its control characters cannot change what a terminal shows, and JSON keeps
/// its meaning.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => line.push(' '),
            other if other.is_control() || is_invisible(other) => {
                line.push_str(&format!("\\u{:04x}", u32::from(other)))
            }
            other => line.push(other),
        }
    }
    line
}

/// Whether a character changes the direction of text, or is not seen.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A payload as a line of JSON.
pub(crate) fn json_line(payload: &Payload) -> Result<String, Failure> {
    let json = payload.to_json().map_err(|error| Failure::usage(error.to_string()))?;
    Ok(line(&compact(&String::from_utf8_lossy(&json))))
}

/// JSON without the whitespace between its tokens. It is not parsed, because that would cost digits of numbers and the levels
/// beyond 128.
pub(crate) fn compact(json: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    let kept = |character: &char| {
        in_string ^= *character == '"' && !is_escaped;
        is_escaped = in_string && *character == '\\' && !is_escaped;
        in_string || !character.is_ascii_whitespace()
    };
    json.chars().filter(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitespace_is_removed_between_tokens_only() {
        assert_eq!(compact(" { \"a b\" : [ 1 ,\n\t2.0 ] } "), r#"{"a b":[1,2.0]}"#);
        assert_eq!(compact(r#"[ "\\" , "\" , " , "\\\"" ]"#), r#"["\\","\" , ","\\\""]"#);
    }

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(line("a\x1b[31m\u{9b}\n\tb\u{202e}"), r"a\u001b[31m\u009b  b\u202e");
    }
}
