//! What the page shows: lines of JSON, passed to a function of the page.

use std::fmt::{Debug, Display};

use connector_core::{Engine, LinkState};
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use web_sys::js_sys::Function;

#[derive(Clone)]
pub(crate) struct Show {
    report: Function,
    steps: u32,
}

impl Show {
    pub(crate) fn new(report: Function) -> Show {
        Show { report, steps: 0 }
    }

    fn line(&self, line: &Value) {
        // The page's function does not throw.
        let _ = self.report.call1(&JsValue::NULL, &JsValue::from(line.to_string()));
    }

    /// The connected plugins, their locations and their methods.
    pub(crate) fn connected<const N: usize>(&self, engine: &Engine, places: [(&str, &str); N]) {
        let plugins = places.map(|(name, place)| {
            let methods = engine.manager().profile(name).and_then(|profile| profile.methods).unwrap_or_default();
            json!({ "name": name, "place": place, "methods": methods })
        });
        self.line(&json!({ "plugins": plugins.as_slice() }));
    }

    /// A step and its outcome. Errors are part of the tour, too.
    pub(crate) fn step<T: Debug, E: Display>(&mut self, what: &str, how: Result<T, E>) {
        self.steps += 1;
        let (is_error, outcome) = match how {
            Ok(value) => (false, format!("{value:?}").trim_matches('"').to_owned()),
            Err(error) => (true, error.to_string()),
        };
        self.line(&json!({ "step": self.steps, "what": what, "outcome": outcome, "isError": is_error }));
    }

    pub(crate) fn state(&self, plugin: &str, state: &LinkState) {
        self.line(&json!({ "plugin": plugin, "state": state.to_string(), "isUp": state.is_up() }));
    }

    pub(crate) fn event(&self, what: &str, outcome: &str) {
        self.line(&json!({ "event": what, "outcome": outcome }));
    }
}
