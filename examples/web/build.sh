#!/usr/bin/env bash
# Builds the programs of this folder into target/web/rust. Needs once:
#
#     .ci/wasm.sh install
#
# or, as a user, `rustup target add wasm32-unknown-unknown` and `cargo install wasm-bindgen-cli` in the version that
# Cargo.lock has of wasm-bindgen.
set -euo pipefail
cd "$(dirname "$0")/../.."
.ci/wasm.sh build --release -p web-examples --bins --examples
for program in web_engine web_plugin examples/{tour_engine,tour_editor,tour_counter,page_engine,page_frame,page_worker,page_port}; do
    wasm-bindgen --target web --out-dir target/web/rust "target/wasm/wasm32-unknown-unknown/release/$program.wasm"
done
cp transport-web/js/keep-messages.js target/web/rust/
