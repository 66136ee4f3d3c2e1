//! Two engines lend each other plugins over websockets, on several threads.
#![cfg(all(feature = "client", feature = "plugin"))]

use std::time::Duration;

use conformance::{EXPECTED, SCRIPT, Script, links::soon, probe, run_script};
use connector_core::{CallError, Context, Engine, Plugin, PluginClient, PluginOptions};
use serde_json::Value;
use transport_ws::{WsConnectorConfig, WsServerConfig};

/// Lends a plugin to the engine that calls itself `borrower`, with a token for it.
async fn lend(from: &Engine, plugin: &str, to: &Engine, borrower: &str) -> String {
    let lent = from.lend(plugin, borrower).unwrap();
    let config = WsServerConfig::default().token(borrower);
    let (url, serving) = transport_ws::serve_with("127.0.0.1:0", move || lent.clone(), config).await.unwrap();
    tokio::spawn(serving);
    borrow(to, plugin, &url, borrower, borrower);
    url
}

fn borrow(engine: &Engine, plugin: &str, url: &str, name: &str, token: &str) {
    let borrowed = transport_ws::plugin_with(plugin, url, WsConnectorConfig::default().token(token));
    let options = PluginOptions::default().engine_name(name).queue_timeout(Duration::from_secs(60));
    engine.register(borrowed.options(options)).unwrap();
}

async fn active(engine: &Engine, name: &str) -> PluginClient {
    let client = engine.register(Plugin::new(name)).unwrap();
    engine.manager().activate(name).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_through_a_lent_probe() {
    let (home, away) = (Engine::new(), Engine::new());
    home.register(probe()).unwrap();
    lend(&home, "probe", &away, "away").await;
    lend(&away, "local", &home, "home").await;
    let mut lines = vec![];
    soon(run_script(&away, &Script::parse(SCRIPT).unwrap(), |line| lines.push(line))).await.unwrap();
    assert_eq!(lines.len(), EXPECTED.lines().count());
    for (number, (line, expected)) in lines.iter().zip(EXPECTED.lines()).enumerate() {
        let expected =
            expected.replace("Error from IDE : ", "").replace(r#"{"from":"local""#, r#"{"from":"away/local""#);
        match number {
            // The last occurrence comes from home, and the script does not wait for it.
            27 => assert!(line.contains(r#""do":"heard""#), "{line}"),
            _ => assert_eq!(line, &expected),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_name_and_another_token_are_refused() {
    let (home, away) = (Engine::new(), Engine::new());
    home.register(probe()).unwrap();
    let url = lend(&home, "probe", &away, "away").await;
    away.remove("probe").await;
    for (name, token, part) in [("away", "other", "401"), ("other", "away", "not lent to the engine \"other\"")] {
        borrow(&away, "probe", &url, name, token);
        let error = soon(away.manager().activate("probe")).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        away.remove("probe").await;
    }
    borrow(&away, "probe", &url, "away", "away");
    soon(away.manager().activate("probe")).await.unwrap();
}

/// Relays along a path of plugins.
fn relay(name: &str) -> Plugin {
    Plugin::new(name).method("via", |ctx: Context, mut path: Vec<String>| async move {
        if path.is_empty() {
            return Ok::<Value, CallError>(Value::Null);
        }
        let next = path.remove(0);
        ctx.client().call(&next, "via", (path,)).await
    })
}

/// Plugins that run one call at a time, in the process of their engine or behind a websocket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossing_calls_do_not_deadlock() {
    for linked in [false, true] {
        let (a, b) = (Engine::new(), Engine::new());
        for (engine, name) in [(&a, "x"), (&b, "y")] {
            let patient = PluginOptions::default().queue_timeout(Duration::from_secs(60));
            if linked {
                let (url, serving) = transport_ws::serve("127.0.0.1:0", move || relay(name)).await.unwrap();
                tokio::spawn(serving);
                engine.register(transport_ws::plugin(name, &url).options(patient)).unwrap();
            } else {
                engine.register(relay(name).options(patient)).unwrap();
            }
        }
        lend(&a, "x", &b, "b").await;
        lend(&b, "y", &a, "a").await;
        let mut calls = tokio::task::JoinSet::new();
        for (engine, first, path) in [(&a, "x", ["y", "x", "y"]), (&b, "y", ["x", "y", "x"])] {
            let local = active(engine, "local").await;
            for _ in 0..8 {
                let local = local.clone();
                calls.spawn(async move {
                    for _ in 0..20 {
                        let path = path.map(str::to_owned).to_vec();
                        local.call::<Value>(first, "via", (path,)).await.unwrap();
                    }
                });
            }
        }
        let all = async {
            while let Some(call) = calls.join_next().await {
                call.unwrap();
            }
        };
        soon(all).await;
    }
}
