//! An engine that dials a plugin behind socket.io and runs a script against it, with a plugin `local` in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let about = "Runs a script against the plugin `probe` at a socket.io URL and prints a line of JSON for each step";
    examples::dial(about, |url| transport_socketio::plugin("probe", url))
}
