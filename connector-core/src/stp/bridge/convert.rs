//! Conversion between arguments and params, and between results and responses.
//!
//! An engine's calls and events have an array of arguments; API messages have params of any kind, mostly an object. A
//! single argument that is not an array becomes the params, no arguments become absent params, and anything else
//! becomes an array. Each side thus gets back what it sent.

use serde_json::value::RawValue;

use crate::wire::{Payload, PayloadError};

/// The API message for a method's or event's arguments.
pub(super) fn message_of(method: &str, args: &[Payload]) -> Result<String, PayloadError> {
    let method = serde_json::to_string(method).map_err(PayloadError::not_serializable)?;
    let mut texts = Vec::with_capacity(args.len());
    for arg in args {
        let text = arg.to_json()?;
        texts.push(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(match &texts[..] {
        [] => format!(r#"{{"method":{method}}}"#),
        [one] if !one.trim_start().starts_with('[') => format!(r#"{{"method":{method},"params":{one}}}"#),
        _ => format!(r#"{{"method":{method},"params":[{}]}}"#, texts.join(",")),
    })
}

/// The arguments for an API message's params.
pub(super) fn args_of(params: Option<&RawValue>) -> Payload {
    match params.map(RawValue::get) {
        None => Payload::no_args(),
        Some(array) if array.starts_with('[') => Payload::from_valid_json(array),
        Some(other) => Payload::from_valid_json(format!("[{other}]")),
    }
}

/// The call result for API responses: JSON unchanged, other text as a string; several responses as an array, none as
/// `null`.
pub(super) fn result_of(responses: Vec<String>) -> Payload {
    let mut values = responses.into_iter().map(|response| match Payload::from_json(response.clone()) {
        Ok(json) => json,
        Err(_) => Payload::new(response),
    });
    match (values.next(), values.next()) {
        (None, _) => Payload::null(),
        (Some(one), None) => one,
        (Some(one), Some(two)) => Payload::new([one, two].into_iter().chain(values).collect::<Vec<_>>()),
    }
}

/// The API response for a call's result: its JSON.
pub(super) fn response_of(result: &Payload) -> Result<String, PayloadError> {
    result.to_json().map(|text| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stp::Envelope;

    #[test]
    fn arguments_survive_a_round_trip() {
        for args in ["[]", "[1]", r#"[{"a":1}]"#, "[[1,2]]", "[[]]", r#"["x",2]"#, "[null,null]"] {
            let given: Vec<Payload> = Payload::from_json(args).unwrap().read().unwrap();
            let message = message_of("m", &given).unwrap();
            let envelope = Envelope::parse(&message).unwrap();
            assert_eq!(args_of(envelope.params).to_json().unwrap(), args, "{message}");
        }
        // A single `null` becomes absent params, as in JavaScript.
        let nothing = message_of("m", &[Payload::null()]).unwrap();
        assert_eq!(args_of(Envelope::parse(&nothing).unwrap().params).to_json().unwrap(), "[]");
    }

    #[test]
    fn results_survive_a_round_trip() {
        for result in ["null", "5", r#""text""#, r#"{"a":[1]}"#, "[1,2]"] {
            let payload = Payload::from_json(result).unwrap();
            let back = result_of(vec![response_of(&payload).unwrap()]);
            assert_eq!(back.to_json().unwrap(), result);
        }
        let json =
            |responses: &[&str]| result_of(responses.iter().map(|r| (*r).to_owned()).collect()).to_json().unwrap();
        assert_eq!(json(&[]), "null");
        assert_eq!(json(&["plain text"]), r#""plain text""#);
        assert_eq!(json(&["1", "two"]), r#"[1,"two"]"#);
    }
}
