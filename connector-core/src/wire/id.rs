//! What pairs a request with its response.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

use crate::wire::PayloadError;

/// What pairs a request with its response: a number of ours, or whatever JSON the other end has chosen, which is
/// echoed to it as it came.
///
/// The ends of this crate number their requests. Others may use any value, such as `"b3c1…"` or `7.5`, and may name
/// plugins and methods by what is no string, or by a string that is not valid Unicode (`"\ud83d"`, half of a surrogate
/// pair). Such a name is no [`Name`](crate::Name), so it is missing from its [`Message`](crate::Message) and matches
/// nothing; the id carries its text, so that the answer echoes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Id(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Number(i64),
    /// What is rare is boxed: an id is moved from hand to hand.
    Odd(Box<Odd<Box<str>>>),
}

/// The JSON of those members of an envelope that are not what they mostly are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Odd<T> {
    /// An id that is no integer.
    pub(crate) id: Option<T>,
    /// A name, a key and a path that are no strings of Unicode.
    pub(crate) name: Option<T>,
    pub(crate) key: Option<T>,
    pub(crate) path: Option<T>,
}

impl<T> Odd<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.id.is_none() && self.name.is_none() && self.key.is_none() && self.path.is_none()
    }
}

impl Id {
    /// An id that is this JSON value.
    ///
    /// # Errors
    /// The text is not exactly one JSON value.
    pub fn from_json(text: &str) -> Result<Id, PayloadError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(PayloadError::not_json)?;
        Ok(Id::of_valid_json(raw.get()))
    }

    /// `text` must be one JSON value.
    pub(crate) fn of_valid_json(text: &str) -> Id {
        match integer(text) {
            Some(number) => Id::from(number),
            None => Id(Repr::Odd(Box::new(Odd { id: Some(text.into()), ..Odd::default() }))),
        }
    }

    /// The id of an envelope of which something is odd. `number` is its id if that is a number.
    #[cold]
    pub(crate) fn of_odd(number: Option<Id>, odd: Odd<&str>) -> Id {
        let own = |text: Option<&str>| text.map(Box::from);
        let id = own(odd.id).or_else(|| number.and_then(|id| id.number()).map(|number| number.to_string().into()));
        Id(Repr::Odd(Box::new(Odd { id, name: own(odd.name), key: own(odd.key), path: own(odd.path) })))
    }

    /// The number that this id names as a property of a JavaScript object, which is how the published ends find the
    /// call that a response ends: 7, 7.0, `"7"` and `[7]` are the same there.
    pub fn number(&self) -> Option<i64> {
        match &self.0 {
            Repr::Number(number) => Some(*number),
            Repr::Odd(odd) => property(odd.id.as_deref()?),
        }
    }

    /// Whether there is an id at all: an envelope without one may have a name that is to be echoed.
    pub(crate) fn is_given(&self) -> bool {
        match &self.0 {
            Repr::Number(_) => true,
            Repr::Odd(odd) => odd.id.is_some(),
        }
    }

    /// Whether both say the same, whatever else is odd of their envelopes.
    pub(crate) fn is_same(&self, other: &Id) -> bool {
        match (&self.0, &other.0) {
            (Repr::Odd(one), Repr::Odd(other)) => one.id.is_some() && one.id == other.id,
            (one, other) => one == other,
        }
    }

    /// What is odd of the envelope.
    pub(crate) fn odd(&self) -> Option<&Odd<Box<str>>> {
        self.parts().err()
    }

    /// The number, if that is all there is.
    pub(crate) fn parts(&self) -> Result<&i64, &Odd<Box<str>>> {
        match &self.0 {
            Repr::Number(number) => Ok(number),
            Repr::Odd(odd) => Err(odd),
        }
    }

    /// The id without the names, for an answer that was too long with them; `None` if it has none.
    pub(crate) fn without_names(self) -> Option<Id> {
        match self.0 {
            Repr::Odd(odd) if odd.name.is_some() || odd.key.is_some() => {
                Some(Id(Repr::Odd(Box::new(Odd { id: odd.id, ..Odd::default() }))))
            }
            _ => None,
        }
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Id {
        Id(Repr::Number(number))
    }
}

/// As JSON; of a long one the beginning.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => number.fmt(f),
            Repr::Odd(odd) => f.write_str(&odd.id.as_deref().map_or("none".into(), shown)),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// JSON text as errors show it: a string without its quotes, its escapes left as they are, so that no two names look the
/// same; of a long one the beginning.
pub(crate) fn shown(json: &str) -> std::borrow::Cow<'_, str> {
    const MOST: usize = 200;
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    match text.len() {
        ..=MOST => text.into(),
        _ => {
            let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            format!("{}…", &text[..end]).into()
        }
    }
}

/// An integer as JavaScript writes it.
pub(crate) fn integer(text: &str) -> Option<i64> {
    // `-0` is 0 to JavaScript, but to be echoed as it came; what else is not written so is no JSON.
    i64::from_str(text).ok().filter(|_| text != "-0" && !text.starts_with('+'))
}

/// The integer that JSON names as a property.
fn property(json: &str) -> Option<i64> {
    /// Below, every integer is a number of JavaScript's.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let mut json = json;
    // An array of one is its element. Of an array of several no number is left.
    while let Some(element) = json.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        json = element.trim_ascii();
    }
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).ok()?;
        return i64::from_str(&text).ok().filter(|number| number.to_string() == text);
    }
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let number = f64::from_str(json).ok().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT)?;
    #[allow(clippy::cast_possible_truncation, reason = "an integer within i64, as just seen")]
    Some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(json: &str) -> Id {
        Id::from_json(json).unwrap()
    }

    #[test]
    fn an_id_names_the_number_that_it_names_in_javascript() {
        for (zero, json) in [
            (true, "0"),
            (true, "-0"),
            (true, "0.0"),
            (true, "0e9"),
            (true, r#""0""#),
            (true, r#""\u0030""#),
            (true, "[0]"),
            (true, r#"[ ["0"] ]"#),
            (false, r#""""#),
            (false, r#"" 0""#),
            (false, r#""-0""#),
            (false, r#""00""#),
            (false, r#""0.0""#),
            (false, r#""\ud800""#),
            (false, "[]"),
            (false, "[0,1]"),
            (false, r#"["0","1"]"#),
            (false, "[[0],[0]]"),
            (false, "null"),
            (false, "false"),
            (false, "{}"),
            (false, r#"{"0":0}"#),
        ] {
            assert_eq!(id(json).number() == Some(0), zero, "{json}");
        }
        assert_eq!(id("7.0").number(), Some(7));
        assert_eq!(id(r#""-2""#).number(), Some(-2));
        assert_eq!(id("7.5").number(), None);
        assert_eq!(id("1e400").number(), None);
        assert_eq!(id("9007199254740993000").number(), Some(9_007_199_254_740_993_000), "one of ours");
        let deep = "[".repeat(100_000) + "7" + &"]".repeat(100_000);
        assert_eq!(id(&deep).number(), Some(7));
    }

    #[test]
    fn only_json_is_an_id() {
        for odd in ["", "7 8", "NaN", "+7", "07", "'7'"] {
            assert!(Id::from_json(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_long_id_is_not_shown_whole() {
        let long = id(&format!("\"{}\"", "é".repeat(10_000)));
        assert!(long.to_string().len() < 300);
    }
}
