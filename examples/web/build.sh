#!/usr/bin/env bash
# Builds the programs of this folder into target/web/rust. Needs once:
#
#     rustup target add wasm32-unknown-unknown
#     cargo install wasm-bindgen-cli --version 0.2.130
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wasm-bindgen >/dev/null || { echo "error: wasm-bindgen is missing: cargo install wasm-bindgen-cli --version 0.2.130" >&2; exit 1; }
cargo build --release --target wasm32-unknown-unknown -p web-examples --bins --examples
for program in web_engine web_plugin examples/{tour_engine,tour_editor,tour_counter,page_engine,page_frame,page_worker,page_port}; do
    wasm-bindgen --target web --out-dir target/web/rust "target/wasm32-unknown-unknown/release/$program.wasm"
done
cp transport-web/js/keep-messages.js target/web/rust/
