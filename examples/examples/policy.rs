//! A policy: which plugin may activate and deactivate which. The editor may, the game may not, and the compiler may veto.
//!
//! `cargo run -p examples --example policy` prints:
//!
//! ```text
//! game activates: Plugin game has no right to activate plugin compiler
//! editor activates: done
//! game deactivates: Plugin game has no right to deactivate plugin compiler
//! editor deactivates: Plugin editor has no right to deactivate plugin compiler
//! the host deactivates: done
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{Engine, Plugin, PluginClient, Policy, Profile, async_trait};

struct EditorDecides;

/// The host appears as `manager`. A decision may wait, for example for the user's answer.
#[async_trait]
impl Policy for EditorDecides {
    async fn can_activate(&self, from: &Profile, _to: &Profile, _method: Option<&str>) -> bool {
        from.name == "manager" || from.name == "editor"
    }

    async fn can_deactivate(&self, from: &Profile, _to: &Profile) -> bool {
        from.name == "editor"
    }
}

/// Plugins call the engine's plugin `manager`.
async fn ask(plugin: &PluginClient, what: &str, method: &str) {
    let outcome = plugin.call::<()>("manager", method, ("compiler",)).await;
    println!("{} {what}: {}", plugin.name(), outcome.map_or_else(|error| error.to_string(), |()| "done".to_owned()));
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().policy(EditorDecides).build();
    // The compiler is asked after the policy has agreed.
    engine.register(Plugin::new("compiler").can_deactivate(|_by: Profile| async { false }))?;
    let game = engine.register(Plugin::new("game"))?;
    let editor = engine.register(Plugin::new("editor"))?;
    for name in ["game", "editor"] {
        engine.manager().activate(name).await?;
    }

    ask(&game, "activates", "activatePlugin").await;
    ask(&editor, "activates", "activatePlugin").await;
    ask(&game, "deactivates", "deactivatePlugin").await;
    ask(&editor, "deactivates", "deactivatePlugin").await;
    engine.manager().deactivate("compiler").await?; // the host always may
    println!("the host deactivates: done");

    engine.shutdown().await;
    Ok(())
}
