//! An engine that dials a plugin behind a websocket and runs a script against it, with a plugin `local` in its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let about = "Runs a script against the plugin `probe` at a websocket URL and prints a line of JSON for each step";
    examples::dial(about, |url| transport_ws::plugin("probe", url))
}
