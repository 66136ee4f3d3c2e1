#!/usr/bin/env bash
# Cargo for WebAssembly in a browser, with its output in target/wasm.
#
#     .ci/wasm.sh install            the Rust target, wasm-bindgen's programs, Chromium and its driver, as far as missing
#     .ci/wasm.sh COMMAND [ARG…]     cargo COMMAND ARG… for wasm32-unknown-unknown
#
# Without rustup's target, Debian's compiler builds the standard library from source. It is unpacked into a cache folder,
# because the package would replace rustup.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
debian="${XDG_CACHE_HOME:-$HOME/.cache}/connectors-wasm"
bindgen=$(awk '/^name = "wasm-bindgen"$/ { found = 1 } found && /^version/ { gsub(/"/, "", $3); print $3; exit }' Cargo.lock)

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; }

install_debian() {
    [ ! -x "$debian/usr/bin/clippy-driver" ] || return 0
    local packages library folder
    apt-get update
    apt-get install -y lld-19
    library=$(apt-cache depends libstd-rust-web-dev | awk '/Depends: libstd-rust-web-/ { print $2; exit }')
    packages=(rustc-web rust-web-src rust-web-clippy libstd-rust-web-dev "$library")
    # Its dependencies, without itself.
    apt-cache depends "$library" | awk '/ Depends: libllvm/ { print $2 }' | xargs -r apt-get install -y
    folder=$(mktemp -d)
    (cd "$folder" && apt-get download "${packages[@]}")
    rm -rf "$debian"
    mkdir -p "$debian"
    for package in "$folder"/*.deb; do dpkg -x "$package" "$debian"; done
    rm -rf "$folder"
}

install() {
    has_target || timeout 300 rustup target add "$target" || install_debian
    # A registry's mirror may lack a version of the lock file.
    [ "$(wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $bindgen" ] ||
        cargo install wasm-bindgen-cli --version "$bindgen" --locked --force ||
        cargo install wasm-bindgen-cli --version "$bindgen" --force
    local needed=()
    command -v chromium >/dev/null || needed+=(chromium)
    command -v chromedriver >/dev/null || needed+=(chromium-driver)
    if [ ${#needed[@]} -gt 0 ]; then
        apt-get update
        apt-get install -y "${needed[@]}"
    fi
}

require() { command -v "$1" >/dev/null || { echo "error: $1 is missing: $2" >&2; exit 1; }; }

run_cargo() {
    local command=$1
    shift
    require wasm-bindgen "cargo install wasm-bindgen-cli --version $bindgen"
    export CARGO_INCREMENTAL=0 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner
    local options=(--target "$target" --target-dir target/wasm)
    if has_target; then
        exec cargo "$command" "${options[@]}" "$@"
    fi
    [ -x "$debian/usr/bin/rustc" ] || { echo "error: the target is missing: rustup target add $target, or .ci/wasm.sh install" >&2; exit 1; }
    export RUSTC="$debian/usr/bin/rustc" LD_LIBRARY_PATH="$debian/usr/lib/x86_64-linux-gnu" RUSTC_BOOTSTRAP=1
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
    options+=(-Zbuild-std=std,panic_abort)
    case $command in
        clippy) exec "$debian/usr/bin/cargo-clippy" clippy "${options[@]}" "$@" ;;
        *) exec cargo "$command" "${options[@]}" "$@" ;;
    esac
}

case ${1-} in
    "") sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
    install) install ;;
    *) run_cargo "$@" ;;
esac
