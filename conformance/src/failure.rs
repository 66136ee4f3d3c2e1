//! Why a case failed.

use std::fmt;

use thiserror::Error;

use super::contract::Rule;

/// A broken promise of the contract: what was expected, what happened instead, where to look, and the rule.
#[derive(Debug, Clone, Error)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    case: Option<&'static str>,
    expected: String,
    got: String,
    hint: Option<String>,
    fallback_hint: Option<String>,
    rule: Option<Rule>,
}

impl Failure {
    /// A failure: what was expected, and what happened instead.
    pub fn new(expected: impl fmt::Display, got: impl fmt::Display) -> Failure {
        let (expected, got) = (expected.to_string(), got.to_string());
        Failure(Box::new(Parts { case: None, expected, got, hint: None, fallback_hint: None, rule: None }))
    }

    /// Where the transport's author should look. The first hint wins: it was given closest to the fault.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Failure {
        self.0.hint.get_or_insert_with(|| hint.to_owned());
        self
    }

    /// Sets a fallback hint, for helpers shared by many cases. A more specific hint takes precedence.
    #[must_use]
    pub(super) fn fallback_hint(mut self, hint: &str) -> Failure {
        self.0.fallback_hint.get_or_insert_with(|| hint.to_owned());
        self
    }

    /// The broken rule. The first one wins.
    #[must_use]
    pub(super) fn rule(mut self, rule: Rule) -> Failure {
        self.0.rule.get_or_insert(rule);
        self
    }

    pub(super) fn of_case(mut self, case: &'static str) -> Failure {
        self.0.case = Some(case);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { case, expected, got, hint, fallback_hint, rule } = &*self.0;
        if let Some(case) = case {
            write!(f, "{case}: ")?;
        }
        write!(f, "expected {expected}; got {got}")?;
        if let Some(hint) = hint.as_ref().or(fallback_hint.as_ref()) {
            write!(f, "; look at {hint}")?;
        }
        match rule {
            Some(Rule { subject, text }) => {
                write!(f, "; the contract of {subject} says: \"{}\"", text.replace(['[', ']'], ""))
            }
            None => Ok(()),
        }
    }
}

/// Adds where to look, and the rule, to a case's outcome.
pub(super) trait Hint {
    fn hint(self, hint: &str) -> Self;
    fn fallback_hint(self, hint: &str) -> Self;
    fn rule(self, rule: Rule) -> Self;
}

impl<T> Hint for Result<T, Failure> {
    fn hint(self, hint: &str) -> Self {
        self.map_err(|failure| failure.hint(hint))
    }

    fn fallback_hint(self, hint: &str) -> Self {
        self.map_err(|failure| failure.fallback_hint(hint))
    }

    fn rule(self, rule: Rule) -> Self {
        self.map_err(|failure| failure.rule(rule))
    }
}

/// Checks that two values are equal.
pub(super) fn same<T: PartialEq + fmt::Debug>(what: &str, got: &T, expected: &T) -> Result<(), Failure> {
    check(got == expected, || Failure::new(format_args!("{what}: {}", shown(expected)), shown(got)))
}

pub(super) fn check(holds: bool, failure: impl FnOnce() -> Failure) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(failure()) }
}

/// A value's debug output, shortened to keep the failure readable.
pub(super) fn shown(value: &impl fmt::Debug) -> String {
    const MAX_CHARS: usize = 400;
    let text = format!("{value:?}");
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}
