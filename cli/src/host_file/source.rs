//! The text of a host file, and errors that name a place in it.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::failure::Failure;

pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(path: &Path) -> Result<Source, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("the host file {} cannot be read: {error}", path.display())))?;
        Ok(Source::new(path, text))
    }

    pub(super) fn new(path: &Path, text: String) -> Source {
        Source { path: path.to_owned(), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The file's name, without its folder.
    pub(super) fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    /// The folder of the file, to which its paths are relative.
    pub(super) fn folder(&self) -> PathBuf {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        path.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// A place in the file: its path, line and column, from 1.
    pub(super) fn position(&self, span: &Range<usize>) -> String {
        let line_start = self.before(span).rsplit('\n').next().unwrap_or_default();
        format!("{}:{}:{}", self.path.display(), self.line(span), line_start.chars().count() + 1)
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.before(span).matches('\n').count() + 1
    }

    fn before(&self, span: &Range<usize>) -> &str {
        self.text.get(..span.start).unwrap_or(&self.text)
    }

    pub(super) fn error(&self, span: Range<usize>, text: impl std::fmt::Display) -> Failure {
        Failure::usage(format!("{}: {text}", self.position(&span)))
    }

    /// The value of a variable of the environment: `what`, which is secret.
    ///
    /// # Errors
    /// It is not set.
    pub(super) fn secret(&self, what: &str, variable: &Spanned<String>) -> Result<String, Failure> {
        std::env::var(variable.get_ref()).map_err(|error| {
            let text = format!("{what} cannot be read from the environment: {}: {error}", variable.get_ref());
            self.error(variable.span(), text)
        })
    }

    /// What is in a file whose path is relative to the folder of this one: `what`.
    ///
    /// # Errors
    /// It cannot be read, or is longer than 1 MiB.
    #[cfg(feature = "nats")]
    pub(super) fn text_of(&self, what: &str, path: &Spanned<String>) -> Result<String, Failure> {
        use std::io::{self, Read};

        const MAX: u64 = 1 << 20;
        let file = self.folder().join(path.get_ref());
        let read = || {
            let mut bytes = Vec::new();
            std::fs::File::open(&file)?.take(MAX + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MAX {
                return Err(io::Error::other("it is longer than 1 MiB"));
            }
            String::from_utf8(bytes).map_err(|_| io::Error::other("it is not a text in UTF-8"))
        };
        read().map_err(|error| self.error(path.span(), format!("{what} cannot be read: {}: {error}", file.display())))
    }

    /// An error of the parser. It is reworded, because the parser's words are about Rust's types, and may show a value that is
    /// secret.
    pub(super) fn wrong(&self, error: &toml::de::Error) -> Failure {
        let span = error.span().unwrap_or(0..0);
        let text = match self.text.get(span.clone()).filter(|key| !key.is_empty() && !key.contains('\n')) {
            Some(key) if error.message() == "duplicate key" => format!("duplicate key \"{}\"", key.trim_matches('"')),
            _ => reworded(error.message()),
        };
        self.error(span, text)
    }
}

fn reworded(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let ("unknown field", Some((key, known))) = (start(message), quoted.split_first()) {
        return unknown(&format!("unknown key \"{key}\""), key, known);
    }
    if let ("unknown variant", Some((value, known))) = (start(message), quoted.split_first()) {
        return unknown(&format!("unknown value \"{value}\""), value, known);
    }
    if let ("missing field", [key]) = (start(message), quoted.as_slice()) {
        return format!("the key \"{key}\" is missing");
    }
    let found_and_expected = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = found_and_expected.and_then(|both| both.rsplit_once(", expected ")) {
        let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
        let found = match kind {
            "map" => "a table",
            "sequence" => "a list",
            "integer" => "an integer",
            "floating point" => "a number with a fraction",
            kind => &format!("a {kind}"),
        };
        let expected = match (expected, kind) {
            ("usize", _) => "a whole number, 0 or more",
            ("a map", _) => "a table",
            ("a sequence", "map") => "a list of tables, each of which begins with [[NAME]]",
            ("a sequence", _) => "a list, such as [\"a\", \"b\"]",
            (expected, _) => expected,
        };
        return format!("this is {found}; give {expected}");
    }
    message.replace('\n', ": ")
}

/// The first two words.
fn start(message: &str) -> &str {
    message.match_indices(' ').nth(1).map_or(message, |(end, _)| &message[..end])
}

/// An error about a word that is not one of those `known`, with the likely one.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let likeness = |known: &&&str| strsim::jaro(word, known);
    match known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other))) {
        Some(likely) if likeness(&likely) > 0.7 => format!("{what}; did you mean \"{likely}\"?"),
        Some(_) => format!("{what}; known here: {}", known.join(", ")),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters() {
        let source = Source::new(Path::new("h.toml"), "a = 1\nü = x\n".to_owned());
        let x = source.text.find('x').unwrap();
        assert_eq!(source.position(&(x..x + 1)), "h.toml:2:5");
        assert_eq!(source.position(&(0..0)), "h.toml:1:1");
        assert_eq!(source.position(&(99..99)), "h.toml:3:1");
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(
            reworded("invalid type: string \"s3cret, expected\", expected a boolean"),
            "this is a string; give a boolean"
        );
        assert_eq!(reworded("invalid type: integer `17`, expected a string"), "this is an integer; give a string");
        assert_eq!(
            reworded("invalid type: map, expected a sequence"),
            "this is a table; give a list of tables, each of which begins with [[NAME]]"
        );
    }
}
