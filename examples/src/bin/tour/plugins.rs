//! The two plugins. They do not depend on the transport or on each other's location.

use std::time::Duration;

use connector_core::{CallError, Context, LinkEnd, Plugin, Profile, Service, Serving};
use examples::{Done, report, stdin_ended};

use crate::Over;

/// Methods are plain async functions.
async fn add(a: f64, b: f64) -> f64 {
    a + b
}

async fn divide(a: f64, b: f64) -> Result<f64, &'static str> {
    if b == 0.0 { Err("cannot divide by zero") } else { Ok(a / b) }
}

async fn factor_slowly(_number: u64) -> Vec<u64> {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    vec![]
}

/// The calculator, under the name that it is registered with.
pub(crate) fn calculator(name: &str) -> Plugin {
    Plugin::new(name)
        .method("add", add)
        .method("divide", divide)
        .method("factorSlowly", factor_slowly)
        .service("units", Service::new().method("metres", |feet: f64| async move { feet * 0.3048 }))
}

/// Saves a text and emits an event. Counts its words by calling the calculator through the engine.
async fn save(ctx: Context, name: String, words: Vec<String>) -> Result<u64, CallError> {
    let mut count = 0;
    for _ in &words {
        let sum: f64 = ctx.client().call("calculator", "add", (count, 1)).await?;
        count = sum as u64;
    }
    ctx.client().emit("saved", (name, count)).await?;
    Ok(count)
}

fn editor() -> Plugin {
    Plugin::new(Profile::new("editor").with_events(["saved"])).method("save", save)
}

/// Serves a plugin until the process that started this one ends.
pub(crate) async fn serve(name: &str, port: u16, over: Over) -> Done {
    let plugin = match name {
        "calculator" => calculator(name),
        "editor" => editor(),
        other => return Err(format!("unknown plugin \"{other}\": try calculator or editor").into()),
    };
    let (plugin, address) = (move || plugin.clone(), ("127.0.0.1", port));
    match over {
        Over::Ws => {
            let (url, serving) = transport_ws::serve(address, plugin).await?;
            serve_at(url, serving).await
        }
        #[cfg(feature = "socketio")]
        Over::Socketio => {
            let (url, serving) = transport_socketio::serve(address, plugin).await?;
            serve_at(url, serving).await
        }
    }
}

async fn serve_at(url: String, serving: Serving) -> Done {
    report(url);
    match serving.until(stdin_ended()).await {
        LinkEnd::Disconnected => Ok(()),
        end => Err(end.into()),
    }
}
