//! A host whose engine the inspector shows: an editor and a shop with calls that wait, fail and get lost.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use connector_core::{CallError, Context, Engine, Plugin, PluginClient, PluginOptions};
use connector_inspect::{Capture, ServeOptions, serve};
use examples::{Done, report};
use serde_json::{Value, json};
use tokio::time::sleep;
use transport_worker::worker;

/// Runs an engine with plugins that are busy, and prints the URL of a page that shows them, until Ctrl-C.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The inspector's port; 0 chooses a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The inspector's token, instead of a new one at each start.
    #[arg(long)]
    token: Option<String>,
    /// Viewers may look, but not call.
    #[arg(long)]
    read_only: bool,
    /// Plugins call each other only when a viewer calls them.
    #[arg(long)]
    quiet: bool,
    /// The number of further plugins, which do nothing.
    #[arg(long, default_value_t = 0)]
    more: usize,
    /// Adds a plugin whose texts try to mislead the viewer.
    #[arg(long)]
    hostile: bool,
}

fn main() -> ExitCode {
    // It loses links on purpose.
    examples::run_quietly("error", host(Args::parse()))
}

async fn host(args: Args) -> Done {
    let engine = Engine::builder().plugin_options(|profile| options(&profile.name)).build();
    let app = engine.register(Plugin::new("app").method("user_name", || async { "Ada" }))?;
    let editor = engine.register(editor())?;
    engine.register(worker("compiler", compiler))?;
    engine.register(worker("files", files))?;
    engine.register(storage())?;
    engine.register(worker("calculator", calculator))?;
    // Nothing listens there.
    engine.register(transport_ws::plugin("weather", "ws://127.0.0.1:9/?token=secret"))?;
    for number in 0..args.more {
        engine.register(Plugin::new(format!("plugin-{number:05}")).method("ping", || async { "pong" }))?;
    }
    if args.hostile {
        engine.register(hostile())?;
    }
    let mut options = ServeOptions::default()
        .port(args.port)
        .allow_calls(!args.read_only)
        .capture(Capture::new().values(true).redact(["/*/password"]));
    options.token = args.token;
    let inspector = serve(&engine, options).await?;
    for plugin in ["app", "editor", "compiler", "files", "storage", "calculator"] {
        inspector.activate(plugin).await?;
    }
    // It cannot be reached, which the page shows.
    let _ = inspector.activate("weather").await;
    report(json!({ "event": "ready", "url": inspector.url() }));
    if !args.quiet {
        tokio::spawn(app_works(app));
        tokio::spawn(editor_works(editor));
    }
    tokio::signal::ctrl_c().await?;
    inspector.close().await;
    engine.shutdown().await;
    Ok(())
}

fn options(plugin: &str) -> PluginOptions {
    let options = PluginOptions::default();
    match plugin {
        "storage" => options.concurrency(2),
        "weather" => options.activation_timeout(Duration::from_millis(300)),
        _ => options,
    }
}

async fn app_works(app: PluginClient) {
    for number in 0_u64.. {
        let _ = app.call::<f64>("calculator", "add", (number, 2)).await;
        if number % 11 == 0 {
            let _ = app.call::<f64>("calculator", "divide", (number, 0)).await;
        }
        if number % 23 == 0 {
            // Given up.
            let _ =
                tokio::time::timeout(Duration::from_millis(20), app.call::<()>("calculator", "slowly", (500,))).await;
        }
        let _ = app.call::<Value>("files", "list", ("/projects",)).await;
        sleep(Duration::from_millis(90)).await;
    }
}

async fn editor_works(editor: PluginClient) {
    for number in 0_u64.. {
        let path = format!("/projects/chapter-{}.md", number % 7);
        let saving = json!({ "user": "ada", "password": "swordfish", "words": 900 + number });
        let _ = editor.emit("typed", (path.clone(), number)).await;
        let saves = (0..4).map(|_| editor.call::<Value>("files", "write", (path.clone(), saving.clone())));
        let _ = futures_util::future::join_all(saves).await;
        let _ = editor.call::<Value>("compiler", "compile", (path,)).await;
        sleep(Duration::from_millis(150)).await;
    }
}

fn calculator() -> Plugin {
    Plugin::new("calculator")
        .method("add", async |ctx: Context, a: f64, b: f64| {
            ctx.client().emit("added", (a, b, a + b)).await?;
            Ok::<f64, CallError>(a + b)
        })
        .method(
            "divide",
            async |a: f64, b: f64| {
                if b == 0.0 { Err("cannot divide by zero".to_owned()) } else { Ok(a / b) }
            },
        )
        .method("slowly", async |millis: u64| {
            sleep(Duration::from_millis(millis)).await;
            millis
        })
        .method("echo", async |value: Value| value)
        .method("burst", async |ctx: Context, events: u64| {
            for number in 0..events {
                ctx.client().emit("counted", (number,)).await?;
            }
            Ok::<u64, CallError>(events)
        })
}

fn editor() -> Plugin {
    Plugin::new("editor").method("open", async |path: String| path).method("cursor", async || (12, 40))
}

fn compiler() -> Plugin {
    Plugin::new("compiler").method("compile", async |ctx: Context, path: String| {
        let source: Value = ctx.client().call("files", "read", (path.clone(),)).await?;
        sleep(Duration::from_millis(35)).await;
        ctx.client().emit("compiled", (path, source["bytes"].clone())).await
    })
}

fn files() -> Plugin {
    Plugin::new("files")
        .method("list", async |folder: String| {
            (0..7).map(|file| format!("{folder}/chapter-{file}.md")).collect::<Vec<_>>()
        })
        .method("read", async |ctx: Context, path: String| ctx.client().call::<Value>("storage", "get", (path,)).await)
        .method("write", async |ctx: Context, path: String, content: Value| {
            ctx.client().call::<Value>("storage", "put", (path.clone(), content)).await?;
            ctx.client().emit("saved", (path,)).await
        })
}

fn storage() -> Plugin {
    Plugin::new("storage")
        .method("get", async |path: String| {
            sleep(Duration::from_millis(4)).await;
            json!({ "path": path, "bytes": 5120, "modified": "2026-03-01T09:30:00Z" })
        })
        .method("put", async |path: String, content: Value| {
            sleep(Duration::from_millis(60)).await;
            json!({ "path": path, "bytes": content.to_string().len() })
        })
}

/// Names and texts that would do harm if a page took them for markup, or wrote them from right to left.
fn hostile() -> Plugin {
    let mut profile = connector_core::Profile::new("hostile");
    profile.display_name = Some("<img src=x onerror=alert(1)>".to_owned());
    profile.description = Some("safe\u{202e}gpj.exe\u{0}".to_owned());
    Plugin::new(profile)
        .method("\u{202e}evil", async || "<script>alert(1)</script>\u{202e}")
        .method(&"m".repeat(1_000_000), async || ())
}
