//! The id that pairs a request with its response.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

use super::PayloadError;
use super::echo::RawMembers;

/// Pairs a request with its response: a number for the ids of this crate, or any JSON value that the peer has chosen,
/// which is echoed unchanged.
///
/// The endpoints of this crate number their requests. Other peers may use any value, such as `"b3c1…"` or `7.5`. They
/// may also name plugins and methods by values that are not strings, or by strings that are not valid Unicode
/// (`"\ud83d"`, half of a surrogate pair). Such a name cannot be a [`Name`](crate::Name), so it is absent from its
/// [`Message`](crate::Message) and matches nothing; the id carries its text so that the response can echo it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Number(i64),
    // PERF: boxed like the rare fields of `Message`.
    /// An id that is not an integer, or odd names. Boxed because it is rare and ids are moved often.
    Raw(Box<RawMembers<Box<str>>>),
}

impl Id {
    /// An id from a JSON value.
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
            None => Id(Repr::Raw(Box::new(RawMembers { id: Some(text.into()), ..RawMembers::default() }))),
        }
    }

    /// The id of an envelope with odd members. `number` is its id if that is a number.
    #[cold]
    pub(crate) fn with_raw_members(number: Option<Id>, raw: RawMembers<&str>) -> Id {
        let own = |text: Option<&str>| text.map(Box::from);
        let id = own(raw.id).or_else(|| number.and_then(|id| id.number()).map(|number| number.to_string().into()));
        Id(Repr::Raw(Box::new(RawMembers { id, name: own(raw.name), key: own(raw.key), path: own(raw.path) })))
    }

    /// The number that this id denotes as a property name of a JavaScript object. The published packages look up
    /// pending calls this way: 7, 7.0, `"7"` and `[7]` are the same property.
    pub fn number(&self) -> Option<i64> {
        match &self.0 {
            Repr::Number(number) => Some(*number),
            Repr::Raw(raw) => property(raw.id.as_deref()?),
        }
    }

    /// Whether the envelope has an id: one without may still carry a name to echo.
    pub(crate) fn is_given(&self) -> bool {
        match &self.0 {
            Repr::Number(_) => true,
            Repr::Raw(raw) => raw.id.is_some(),
        }
    }

    /// Whether both ids are the same value, regardless of the odd names they carry.
    pub(crate) fn is_same(&self, other: &Id) -> bool {
        match (&self.0, &other.0) {
            (Repr::Raw(one), Repr::Raw(other)) => one.id.is_some() && one.id == other.id,
            (one, other) => one == other,
        }
    }

    /// The number of bytes held for an unusual envelope.
    pub(crate) fn weight(&self) -> usize {
        let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        self.raw_members().map_or(0, |raw| [&raw.id, &raw.name, &raw.key, &raw.path].into_iter().map(length).sum())
    }

    /// The odd members of the envelope.
    pub(crate) fn raw_members(&self) -> Option<&RawMembers<Box<str>>> {
        self.parts().err()
    }

    /// `Ok` with the number if the id is a plain number, `Err` with the odd members otherwise.
    pub(crate) fn parts(&self) -> Result<&i64, &RawMembers<Box<str>>> {
        match &self.0 {
            Repr::Number(number) => Ok(number),
            Repr::Raw(raw) => Err(raw),
        }
    }

    /// The id without the names, for a response that was too long with them; `None` if it carries none.
    pub(crate) fn without_names(self) -> Option<Id> {
        match self.0 {
            Repr::Raw(raw) if raw.name.is_some() || raw.key.is_some() => {
                Some(Id(Repr::Raw(Box::new(RawMembers { id: raw.id, ..RawMembers::default() }))))
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

/// Formats as JSON; a long id is truncated.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => number.fmt(f),
            Repr::Raw(raw) => f.write_str(&raw.id.as_deref().map_or("none".into(), display_json)),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// JSON text for errors and traces: a string without its quotes and with its escapes unchanged, so that two different
/// names never look the same. Long text is truncated.
pub(crate) fn display_json(json: &str) -> std::borrow::Cow<'_, str> {
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
    // `-0` equals 0 in JavaScript but must be echoed as it was sent. No other spelling is valid JSON.
    i64::from_str(text).ok().filter(|_| text != "-0" && !text.starts_with('+'))
}

/// The integer that a JSON value denotes as a property name.
fn property(json: &str) -> Option<i64> {
    /// Up to this value, every integer is exact as a JavaScript number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let mut json = json;
    // An array of one element converts to that element. An array of several converts to no number.
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
    fn an_id_denotes_the_same_number_as_in_javascript() {
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
        assert_eq!(id("9007199254740993000").number(), Some(9_007_199_254_740_993_000), "an id of this crate");
        let deep = "[".repeat(100_000) + "7" + &"]".repeat(100_000);
        assert_eq!(id(&deep).number(), Some(7));
    }

    #[test]
    fn an_id_must_be_valid_json() {
        for text in ["", "7 8", "NaN", "+7", "07", "'7'"] {
            assert!(Id::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_long_id_is_truncated_in_messages() {
        let long = id(&format!("\"{}\"", "é".repeat(10_000)));
        assert!(long.to_string().len() < 300);
    }
}
