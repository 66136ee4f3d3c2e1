//! Replaces secrets in JSON, by their pointers. Everything else keeps its text.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// What stands in the place of a secret.
pub(crate) const HIDDEN: &str = "…";

/// The JSON pointers of secrets.
#[derive(Debug, Default, Clone)]
pub(crate) struct Redaction {
    pointers: Vec<String>,
    /// The parts of each.
    parts: Vec<Vec<String>>,
}

impl Redaction {
    pub(crate) fn extend(&mut self, pointers: impl IntoIterator<Item = String>) {
        for pointer in pointers {
            self.parts
                .push(pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect());
            self.pointers.push(pointer);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pointers.is_empty()
    }

    pub(crate) fn pointers(&self) -> &[String] {
        &self.pointers
    }

    /// The text without its secrets; `None` if it cannot be parsed. `members` hold payloads; without any, the text is one.
    pub(crate) fn apply(&self, mut text: String, members: &[&str]) -> Option<String> {
        for parts in &self.parts {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let paths: Vec<Vec<&str>> = match members {
                [] => vec![parts],
                members => members.iter().map(|member| [&[*member], &parts[..]].concat()).collect(),
            };
            for path in paths {
                let changed = hide(serde_json::from_str(&text).ok()?, &path).ok()?;
                if let Some(changed) = changed {
                    text = changed.get().to_owned();
                }
            }
        }
        Some(text)
    }
}

/// The JSON with the values that a pointer's parts lead to replaced; `None` if there are none.
fn hide(json: &RawValue, parts: &[&str]) -> serde_json::Result<Option<Box<RawValue>>> {
    let Some((part, rest)) = parts.split_first() else { return to_raw_value(HIDDEN).map(Some) };
    let mut is_changed = false;
    let mut hide_in = |value: &mut Box<RawValue>| {
        if let Some(changed) = hide(value, rest)? {
            (*value, is_changed) = (changed, true);
        }
        Ok::<_, serde_json::Error>(())
    };
    match json.get().as_bytes().first() {
        Some(b'{') => {
            let mut members: Members = serde_json::from_str(json.get())?;
            members
                .0
                .iter_mut()
                .filter(|(name, _)| *part == "*" || name == part)
                .try_for_each(|(_, value)| hide_in(value))?;
            if is_changed { to_raw_value(&members).map(Some) } else { Ok(None) }
        }
        Some(b'[') => {
            let mut items: Vec<Box<RawValue>> = serde_json::from_str(json.get())?;
            match part.parse::<usize>() {
                Ok(index) => items.get_mut(index).map_or(Ok(()), hide_in)?,
                Err(_) if *part == "*" => items.iter_mut().try_for_each(hide_in)?,
                Err(_) => {}
            }
            if is_changed { to_raw_value(&items).map(Some) } else { Ok(None) }
        }
        _ => Ok(None),
    }
}

/// The members of an object, also those of the same name: each of them may be a secret.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(pointers: &[&str], json: &str) -> Option<String> {
        let mut redaction = Redaction::default();
        redaction.extend(pointers.iter().map(|pointer| (*pointer).to_owned()));
        redaction.apply(json.to_owned(), &[])
    }

    #[test]
    fn secrets_are_hidden_and_everything_else_keeps_its_text() {
        let json = r#"[{"z":1.0,"password":"s3cret","a":12345678901234567890123},{"password":["s3cret"]}]"#;
        let expected = r#"[{"z":1.0,"password":"…","a":12345678901234567890123},{"password":"…"}]"#;
        assert_eq!(redacted(&["/*/password"], json).as_deref(), Some(expected));
        assert_eq!(redacted(&["/1"], r#"["a","s3cret"]"#).as_deref(), Some(r#"["a","…"]"#));
        assert_eq!(redacted(&[""], r#""s3cret""#).as_deref(), Some(r#""…""#));
        assert_eq!(redacted(&["/a~1b/~0"], r#"{"a/b":{"~":1}}"#).as_deref(), Some(r#"{"a/b":{"~":"…"}}"#));
        assert_eq!(redacted(&["/x"], r#"{ "y" : 1 }"#).as_deref(), Some(r#"{ "y" : 1 }"#));
    }

    #[test]
    fn each_spelling_and_each_occurrence_of_a_name_is_hidden() {
        let json = r#"{"a":{"pass\u0077ord":"s3cret"},"a":{"password":"s3cret"},"a":1}"#;
        let text = redacted(&["/a/password"], json).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(redacted(&["/a"], r#"{"\ud800":"s3cret"}"#), None, "a name that is not Unicode cannot be compared");
    }

    #[test]
    fn deep_json_is_searched_only_along_the_pointer() {
        let deep = format!(r#"[{{"password":"s3cret"}},{}{}]"#, "[".repeat(5000), "]".repeat(5000));
        let text = redacted(&["/0/password"], &deep).unwrap();
        assert!(!text.contains("s3cret") && text.len() + 4 > deep.len(), "{text}");
    }
}
