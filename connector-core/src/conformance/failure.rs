//! Why a case failed.

use std::fmt;

use thiserror::Error;

/// A promise of the contract that the transport does not keep: what was expected, what came, and where to look.
#[derive(Debug, Clone, Error)]
pub struct Failure {
    case: Option<&'static str>,
    expected: String,
    came: String,
    look_at: String,
}

impl Failure {
    /// A failure: what was expected, and what came instead.
    pub fn new(expected: impl fmt::Display, came: impl fmt::Display) -> Failure {
        Failure { case: None, expected: expected.to_string(), came: came.to_string(), look_at: String::new() }
    }

    /// Where its author should look. The first hint stays: it was given closest to what went wrong.
    #[must_use]
    pub fn look_at(mut self, hint: &str) -> Failure {
        if self.look_at.is_empty() {
            hint.clone_into(&mut self.look_at);
        }
        self
    }

    pub(super) fn of_case(mut self, case: &'static str) -> Failure {
        self.case = Some(case);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(case) = self.case {
            write!(f, "{case}: ")?;
        }
        write!(f, "expected {}; came {}", self.expected, self.came)?;
        match self.look_at.is_empty() {
            true => Ok(()),
            false => write!(f, "; look at {}", self.look_at),
        }
    }
}

/// Adds where to look to a case's outcome.
pub(super) trait Hint {
    fn look_at(self, hint: &str) -> Self;
}

impl<T> Hint for Result<T, Failure> {
    fn look_at(self, hint: &str) -> Self {
        self.map_err(|failure| failure.look_at(hint))
    }
}

/// `Ok` if they are equal.
pub(super) fn same<T: PartialEq + fmt::Debug>(what: &str, came: &T, expected: &T) -> Result<(), Failure> {
    check(came == expected, || Failure::new(format_args!("{what}: {}", shown(expected)), shown(came)))
}

pub(super) fn check(holds: bool, failure: impl FnOnce() -> Failure) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(failure()) }
}

/// A value in so many characters that a message about it can still be read.
pub(super) fn shown(value: &impl fmt::Debug) -> String {
    const MOST: usize = 400;
    let text = format!("{value:?}");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}
