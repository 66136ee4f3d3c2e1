//! Checks of settings with which nothing can work, so that they are an error where they are used first instead of a
//! connection that mysteriously fails, or a value that is silently replaced.

use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

/// A setting with which nothing can work. Says which one it is, and what to set instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} is {value}: set {remedy}")]
pub struct BadSetting {
    name: &'static str,
    value: String,
    remedy: String,
}

/// The shortest time limit. No operation succeeds within less.
const MIN_TIME: Duration = Duration::from_millis(1);

impl BadSetting {
    /// Checks a number of things or bytes: at least 1.
    ///
    /// # Errors
    /// It is 0, so that nothing would fit.
    pub fn not_zero(name: &'static str, value: usize) -> Result<(), BadSetting> {
        match value {
            0 => Err(BadSetting { name, value: "0, so nothing fits".to_owned(), remedy: "at least 1".to_owned() }),
            _ => Ok(()),
        }
    }

    /// Checks a number that has both bounds.
    ///
    /// # Errors
    /// It is outside of `range`.
    pub fn within(name: &'static str, value: usize, range: RangeInclusive<usize>) -> Result<(), BadSetting> {
        match range.contains(&value) {
            true => Ok(()),
            false => {
                let remedy = format!("{} to {}", range.start(), range.end());
                Err(BadSetting { name, value: value.to_string(), remedy })
            }
        }
    }

    /// Checks a time limit or an interval: at least 1 ms.
    ///
    /// # Errors
    /// It is shorter, so that it would have passed before anything can happen.
    pub fn lasts(name: &'static str, time: Duration) -> Result<(), BadSetting> {
        match time < MIN_TIME {
            true => {
                let value = format!("{time:?}, which has passed before anything can happen");
                Err(BadSetting { name, value, remedy: format!("at least {MIN_TIME:?}") })
            }
            false => Ok(()),
        }
    }

    /// Checks an optional text, such as a client's token, where it is set.
    ///
    /// # Errors
    /// It is empty.
    pub fn not_empty(name: &'static str, text: &str) -> Result<(), BadSetting> {
        match text.is_empty() {
            true => {
                Err(BadSetting { name, value: "an empty text".to_owned(), remedy: "another one, or none".to_owned() })
            }
            false => Ok(()),
        }
    }

    /// Checks a JSON pointer (RFC 6901) to a part of a value.
    ///
    /// # Errors
    /// It does not begin with a slash.
    pub fn json_pointer(name: &'static str, pointer: &str) -> Result<(), BadSetting> {
        match pointer.starts_with('/') {
            true => Ok(()),
            false => Err(BadSetting {
                name,
                value: format!("{pointer:?}, which is not a JSON pointer"),
                remedy: "one that begins with a slash, such as \"/0\"".to_owned(),
            }),
        }
    }

    /// Checks a token that is sent in an HTTP header. The error does not show it.
    ///
    /// # Errors
    /// It has a character that is not printable ASCII, or begins or ends with a space, which is not part of a header's value
    /// (RFC 9110, section 5.5).
    pub fn header_token(name: &'static str, token: &str) -> Result<(), BadSetting> {
        match token.bytes().all(|byte| matches!(byte, b' '..=b'~')) && token.trim() == token {
            true => Ok(()),
            false => Err(BadSetting {
                name,
                value: "a text that no HTTP header can carry".to_owned(),
                remedy: "one of printable ASCII characters, without spaces around it".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_work_is_accepted() {
        BadSetting::not_zero("a", 1).unwrap();
        BadSetting::within("a", 7, 7..=7).unwrap();
        BadSetting::not_empty("a", " ").unwrap();
        BadSetting::json_pointer("a", "/0/user").unwrap();
        BadSetting::lasts("a", Duration::MAX).unwrap();
        BadSetting::lasts("a", MIN_TIME).unwrap();
        BadSetting::header_token("a", "s3cret & more").unwrap();
    }

    #[test]
    fn an_error_names_the_setting_and_the_remedy() {
        let text = |checked: Result<(), BadSetting>| checked.unwrap_err().to_string();
        assert_eq!(text(BadSetting::not_zero("X::a", 0)), "X::a is 0, so nothing fits: set at least 1");
        assert_eq!(text(BadSetting::not_empty("X::a", "")), "X::a is an empty text: set another one, or none");
        assert_eq!(text(BadSetting::within("X::a", 9, 2..=8)), "X::a is 9: set 2 to 8");
        assert_eq!(
            text(BadSetting::lasts("X::a", Duration::ZERO)),
            "X::a is 0ns, which has passed before anything can happen: set at least 1ms"
        );
        assert_eq!(
            text(BadSetting::json_pointer("X::a", "0")),
            "X::a is \"0\", which is not a JSON pointer: set one that begins with a slash, such as \"/0\""
        );
        for token in ["hunter2\n", " hunter2", "hunter2\t", "hunter\u{0}2", "hünter2"] {
            let text = text(BadSetting::header_token("X::token", token));
            assert!(
                text.starts_with("X::token is a text that no HTTP header can carry: set one of printable"),
                "{text}"
            );
            assert!(!text.contains("nter"), "{text}");
        }
    }
}
