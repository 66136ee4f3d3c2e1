//! The lines of JSON that running a script prints, as the published engines print them.

use connector_core::Payload;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Number, Value};

use super::Outcome;

/// The line of a step.
pub(super) fn of_step(step: usize, what: &str, outcome: Outcome) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        step: usize,
        r#do: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        ok: Option<Payload>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Payload>,
    }
    let (ok, error) = match outcome {
        Ok(ok) => (Some(as_javascript_prints(ok)), None),
        Err(error) => (None, Some(as_javascript_prints(error))),
    };
    serde_json::to_string(&Line { step, r#do: what, ok, error })
        .unwrap_or_else(|error| format!("{{\"step\":{step},\"error\":\"{error}\"}}"))
}

/// The last line.
pub(super) fn done(steps: usize) -> String {
    serde_json::json!({ "event": "done", "steps": steps }).to_string()
}

/// The value as JavaScript prints it. Text that is not valid Unicode stays unchanged.
fn as_javascript_prints(payload: Payload) -> Payload {
    payload.clone().read::<Printed>().map_or(payload, Payload::new)
}

/// JSON that keeps the order of members and writes whole numbers without a fraction.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Printed {
    Number(#[serde(serialize_with = "whole")] Number),
    Items(Vec<Printed>),
    Members(IndexMap<String, Printed>),
    Other(Value),
}

fn whole<S: Serializer>(number: &Number, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    match number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < EXACT) {
        Some(n) => (n as i64).serialize(serializer),
        None => number.serialize(serializer),
    }
}
