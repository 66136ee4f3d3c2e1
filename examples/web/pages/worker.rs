//! A plugin in a worker: counts primes. It may compute for long, because it does not block the page.
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use connector_core::Plugin;
use wasm_bindgen::prelude::wasm_bindgen;

async fn below(limit: u32) -> usize {
    let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..limit).filter(is_prime).count()
}

#[wasm_bindgen(start)]
fn start() -> Result<(), transport_web::NoEngine> {
    transport_web::serve(|| Plugin::new("primes").method("below", below))
}
