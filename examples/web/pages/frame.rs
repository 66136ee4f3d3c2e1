//! A plugin in a frame: adds and divides. The page that contains the frame must be of the same origin; allow others with
//! `transport_web::ClientConfig::allow_origin`.
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use connector_core::Plugin;
use wasm_bindgen::prelude::wasm_bindgen;

async fn add(a: f64, b: f64) -> f64 {
    a + b
}

async fn divide(a: f64, b: f64) -> Result<f64, &'static str> {
    if b == 0.0 { Err("cannot divide by zero") } else { Ok(a / b) }
}

#[wasm_bindgen(start)]
fn start() -> Result<(), transport_web::NoEngine> {
    transport_web::serve(|| Plugin::new("calculator").method("add", add).method("divide", divide))
}
