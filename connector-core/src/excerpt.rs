//! Text from a peer, made safe for traces and errors.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// Shows a text that a peer controls, such as a name, a close reason or an error that quotes one, so that it can neither
/// forge lines of a log nor fill it.
///
/// Control characters, line breaks, terminal escapes, bidirectional marks and other invisible characters are escaped as
/// in Rust's string literals. After the first 200 characters, only the number of the others is shown. `Display` is for
/// texts, `Debug` for names: it adds quotes.
///
/// ```
/// use connector_core::Excerpt;
///
/// let name = "calc\n\x1b[2Jforged".to_owned() + &"x".repeat(1_000_000);
/// tracing::warn!(name = ?Excerpt::new(&name), "refused");
/// assert_eq!(Excerpt::up_to(16, &name).to_string(), r"calc\n\u{1b}[2Jforgedx… (+999999 more)");
/// ```
#[derive(Clone, Copy)]
pub struct Excerpt<T> {
    text: T,
    max: usize,
}

impl<T: Display> Excerpt<T> {
    /// Characters shown by default.
    const MAX: usize = 200;

    /// The first 200 characters of `text`.
    pub fn new(text: T) -> Excerpt<T> {
        Excerpt::up_to(Self::MAX, text)
    }

    /// The first `max` characters of `text`.
    pub fn up_to(max: usize, text: T) -> Excerpt<T> {
        Excerpt { text, max }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, quoted: bool) -> fmt::Result {
        let mut escaping = Escaping { out: f, quoted, left: self.max, left_out: 0 };
        write!(escaping, "{}", self.text)?;
        match escaping.left_out {
            0 => Ok(()),
            more => write!(f, "… (+{more} more)"),
        }
    }
}

impl<T: Display> Display for Excerpt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl<T: Display> fmt::Debug for Excerpt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.write(f, true)?;
        f.write_char('"')
    }
}

/// The first 1,024 characters of a text that a peer chose, to be quoted in an error: it may be as long as a message.
pub(crate) fn cut<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    const MAX: usize = 1024;
    let text = text.into();
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text,
    }
}

struct Escaping<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    /// Whether quotes and backslashes are escaped as well.
    quoted: bool,
    left: usize,
    left_out: usize,
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.chars();
        for c in rest.by_ref().take(self.left) {
            self.left -= 1;
            match c {
                '"' | '\'' | '\\' if !self.quoted => self.out.write_char(c)?,
                '\'' => self.out.write_char(c)?,
                _ => write!(self.out, "{}", c.escape_debug())?,
            }
        }
        self.left_out += rest.count();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_or_hide_text_is_escaped() {
        for (text, shown) in [
            ("a \"b\" 'c' \\d é 漢 \u{1f40d}", "a \"b\" 'c' \\d é 漢 \u{1f40d}"),
            ("a\nb\r\tc\0", r"a\nb\r\tc\0"),
            ("\x1b[31m\u{9b}2J\x7f", r"\u{1b}[31m\u{9b}2J\u{7f}"),
            ("\u{202e}\u{2066}\u{200f}\u{200b}\u{feff}", r"\u{202e}\u{2066}\u{200f}\u{200b}\u{feff}"),
            ("\u{2028}\u{85}\u{e000}", r"\u{2028}\u{85}\u{e000}"),
        ] {
            assert_eq!(Excerpt::new(text).to_string(), shown);
        }
        assert_eq!(format!("{:?}", Excerpt::new("a\" error=\"b\\ 'c'\n")), r#""a\" error=\"b\\ 'c'\n""#);
    }

    #[test]
    fn the_rest_of_a_long_text_is_counted() {
        let long = "é".repeat(1000);
        assert_eq!(Excerpt::new(&long).to_string(), "é".repeat(200) + "… (+800 more)");
        assert_eq!(Excerpt::new(&long[..400]).to_string(), long[..400]);
        // The limit applies to the whole text, in however many parts it is formatted.
        let parts = format_args!("{}{}{}", "a".repeat(150), "b".repeat(100), "c").to_string();
        assert_eq!(Excerpt::new(format_args!("{}{}{}", &parts[..150], &parts[150..250], "c")).to_string(), {
            parts[..200].to_owned() + "… (+51 more)"
        });
        assert!(Excerpt::new("\u{10ffff}".repeat(1 << 20)).to_string().len() < 4096);
    }
}
