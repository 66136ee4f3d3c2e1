//! How a call can end: with a result, the plugin's typed error, bad arguments, a refusal, or a timeout.
//!
//! `cargo run -p examples --example errors` prints:
//!
//! ```text
//! 70 are left
//! 150 are missing
//! bad arguments: withdraw: argument 1: invalid type: string "all of it", expected u64
//! refused: Cannot call shop from app, because shop is not registered
//! too late: audit of bank did not complete within the caller's limit of 50ms
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::{error::Error, future::pending, time::Duration};

use connector_core::{CallError, Engine, Json, Plugin};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Overdrawn {
    missing: u64,
}

/// `Json(error)` keeps the error's type, `Result<_, E>` with any `E: Display` sends its text.
async fn withdraw(amount: u64) -> Result<u64, Json<Overdrawn>> {
    100_u64.checked_sub(amount).ok_or_else(|| Json(Overdrawn { missing: amount - 100 }))
}

fn show(outcome: Result<u64, CallError>) {
    match outcome {
        Ok(left) => println!("{left} are left"),
        Err(error) if error.is_bad_arguments() => println!("bad arguments: {error}"),
        Err(CallError::Plugin(fault)) => match fault.read() {
            Ok(Overdrawn { missing }) => println!("{missing} are missing"),
            Err(_) => println!("the method failed: {fault}"),
        },
        Err(CallError::Refused(refusal)) => println!("refused: {refusal}"),
        Err(CallError::TimedOut(why)) => println!("too late: {why}"),
        Err(other) => println!("{other}"), // among others, a lost link
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    engine.register(Plugin::new("bank").method("withdraw", withdraw).method("audit", pending::<u64>))?;
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;

    show(app.call("bank", "withdraw", (30,)).await);
    show(app.call("bank", "withdraw", (250,)).await);
    show(app.call("bank", "withdraw", ("all of it",)).await);
    show(app.call("shop", "withdraw", (30,)).await);
    show(app.call_within(Duration::from_millis(50), "bank", "audit", ()).await);

    engine.shutdown().await;
    Ok(())
}
