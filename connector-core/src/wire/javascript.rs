//! How JavaScript treats JSON values.

/// The published packages evaluate `error ? reject : resolve`.
pub(crate) fn is_falsy_in_javascript(json: &str) -> bool {
    match json.as_bytes() {
        [b'-' | b'0'..=b'9', ..] => json.parse() == Ok(0.0_f64),
        _ => matches!(json, "null" | "false" | "\"\""),
    }
}
