//! Serves the probe as the JavaScript object `probe`, if there is one, says: `origins` lists those of the engines' pages (any
//! origin by default), `port` is the message port to the engine, and `panics` adds the method `panic`.

use connector_core::Plugin;
use transport_web::{ClientConfig, serve_port, serve_with};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::MessagePort;
use web_sys::js_sys::{self, Array, Reflect};

fn option(name: &str) -> JsValue {
    let probe = Reflect::get(&js_sys::global(), &"probe".into());
    probe.and_then(|probe| Reflect::get(&probe, &name.into())).unwrap_or_default()
}

fn config() -> ClientConfig {
    match option("origins").dyn_into::<Array>() {
        Ok(origins) => origins
            .iter()
            .filter_map(|origin| origin.as_string())
            .fold(ClientConfig::default(), ClientConfig::allow_origin),
        // The pages that it is tested with are of another origin.
        Err(_) => ClientConfig::default().allow_any_origin(),
    }
}

pub(crate) fn serve() -> Result<(), JsValue> {
    let plugin = if option("panics").is_truthy() { panicking } else { conformance::probe };
    match option("port").dyn_into::<MessagePort>() {
        Ok(port) => serve_port(port, plugin, config()),
        Err(_) => serve_with(plugin, config())?,
    }
    Ok(())
}

fn panicking() -> Plugin {
    conformance::probe().method("panic", || async { panic() })
}

fn panic() {
    panic!("on purpose");
}
