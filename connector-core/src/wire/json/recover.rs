//! Reads the intact members of an object that is not valid JSON.

use serde_json::value::RawValue;

/// Calls `member` with the name and value of each top-level member of the object that `text` begins with, as long as
/// these are valid JSON: `{"id":7,"payload":[NaN],"name":"x"}` has an id and a name. Runs in linear time.
pub(crate) fn members<'a>(text: &'a str, mut member: impl FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    let Some(start) = text.find('{').filter(|at| text[..*at].trim_ascii().is_empty()) else { return };
    // Start of the current member, and the position of its colon.
    let (mut at, mut depth, mut begin, mut colon) = (start + 1, 0_usize, start + 1, None);
    let mut end_of = |begin: usize, colon: Option<usize>, end: usize| {
        let Some(colon) = colon else { return };
        let json = |part: &'a str| serde_json::from_str::<&RawValue>(part).ok().map(RawValue::get);
        if let (Some(name), Some(value)) = (json(&text[begin..colon]), json(&text[colon + 1..end])) {
            member(name, value);
        }
    };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b':' if depth == 0 => colon = colon.or(Some(at)),
            b',' if depth == 0 => {
                end_of(begin, colon, at);
                (begin, colon) = (at + 1, None);
            }
            b'}' | b']' => break,
            _ => {}
        }
        at += 1;
    }
    end_of(begin, colon, at.min(bytes.len()));
}

/// The position of the quote that ends the string starting at `at`, or the end of the text.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(&str, &str)> {
        let mut all = Vec::new();
        members(text, |name, value| all.push((name, value)));
        all
    }

    #[test]
    fn valid_members_are_read_beside_invalid_ones() {
        let (id, key) = ((r#""id""#, "7"), (r#""key""#, r#""k""#));
        for text in [
            r#"{"id":7,"payload":NaN,"key":"k"}"#,
            r#"{"id":7,"payload":[{"a":-Infinity},"}"],"key":"k"}"#,
            r#" {"id" : 7 ,, "key" : "k" } "#,
            r#"{"id":7,"key":"k"} and more"#,
            r#"{"id":7,"key":"k""#,
            r#"{"id":7,"key":"k","payload":"cut \"#,
            r#"{"id":7,"key":"k","payload":[[[["#,
            r#"{"id":7,id:8,"key":"k",'key':"l"}"#,
            r#"{"id":7,"a":'"',"b":'"',"key":"k"}"#,
        ] {
            let all = of(text);
            assert!(all.contains(&id) && all.contains(&key) && all.len() == 2, "{text}: {all:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_an_object_has_no_members() {
        for text in ["", "5", r#"[{"id":7}]"#, r#"printed: {"id":7}"#, r#""id":7"#] {
            assert!(of(text).is_empty(), "{text}");
        }
        assert!(of(&"{".repeat(100_000)).is_empty());
    }
}
