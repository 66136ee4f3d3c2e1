//! Access rules: the plugin `sandbox` may read files, and do nothing else.
//!
//! `cargo run -p examples --example access` prints:
//!
//! ```text
//! sandbox reads: the contents of notes.txt
//! sandbox writes: "sandbox" may not call "write" of "files": the host's rule "sandbox-reads-files" does not allow it
//! sandbox listens: "sandbox" may not listen to "opened" of "vault": the host's rule "sandbox-reads-files" does not allow it
//! editor writes: 5 bytes
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{Access, Engine, Operation, Plugin};

/// The engine calls this for each call, subscription, activation and deactivation, also when a call activates a plugin.
fn sandbox_reads_files(access: &Access<'_>) -> bool {
    match (access.from, access.to, access.operation) {
        ("sandbox", "files", Operation::Call { method, .. }) => method == "read",
        ("sandbox", "files", Operation::Activate) => true,
        ("sandbox", to, _) => ["sandbox", "manager"].contains(&to),
        _ => true,
    }
}

fn files() -> Plugin {
    Plugin::new("files")
        .method("read", |name: String| async move { format!("the contents of {name}") })
        .method("write", |_name: String, text: String| async move { text.len() })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().access_rule("sandbox-reads-files", sandbox_reads_files).build();
    engine.register(files())?;
    engine.register(Plugin::new("vault"))?;
    let sandbox = engine.register(Plugin::new("sandbox"))?;
    let editor = engine.register(Plugin::new("editor"))?;
    for name in ["sandbox", "editor"] {
        engine.manager().activate(name).await?;
    }

    println!("sandbox reads: {}", sandbox.call::<String>("files", "read", ("notes.txt",)).await?);
    if let Err(error) = sandbox.call::<usize>("files", "write", ("notes.txt", "hello")).await {
        println!("sandbox writes: {error}");
    }
    if let Err(error) = sandbox.on("vault", "opened", |_who: String| {}) {
        println!("sandbox listens: {error}");
    }
    println!("editor writes: {} bytes", editor.call::<usize>("files", "write", ("notes.txt", "hello")).await?);

    engine.shutdown().await;
    Ok(())
}
