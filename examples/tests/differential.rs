//! Ten thousand envelopes, valid, odd and broken: native ends respond as the published ends do, except for the differences
//! listed with their reasons in `js/lib/differential-classes.js`.
#![cfg(feature = "ws")]
#![allow(clippy::print_stderr, reason = "prints how often each difference occurred")]

mod support;

use std::process::Stdio;
use std::time::Duration;

use connector_core::{ClientConfig, Context, Engine, Fault, Payload, Plugin, Rest, Service, serve};
use serde_json::Value;
use support::{End, published_packages};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::timeout;
use transport_ws::{WsServer, WsServerConfig};

/// The time limit; it usually takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn native_ends_respond_like_published_ends() {
    published_packages();
    timeout(LIMIT, compare()).await.expect("the comparison hangs");
}

async fn compare() {
    // The native plugin, for the comparison to dial.
    let server = WsServer::bind("127.0.0.1:0", WsServerConfig::default()).await.unwrap();
    let url = server.url().to_owned();
    let serving = tokio::spawn(serve(server, probe, ClientConfig::default()));

    let mut node = tokio::process::Command::from(End::JavaScript("differential.js").command());
    let node = node.args(["--plugin", &url]).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut node = node.spawn().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let ready: Value = serde_json::from_str(&lines.next_line().await.unwrap().expect("no ready line")).unwrap();

    // The native engine, which dials the comparison.
    let engine = Engine::new();
    engine.register(local()).unwrap();
    engine.register(asker()).unwrap();
    engine.register(transport_ws::plugin("probe", ready["url"].as_str().unwrap())).unwrap();
    let manager = engine.manager();
    for plugin in ["local", "asker", "probe"] {
        manager.activate(plugin).await.unwrap();
    }

    let mut errors = String::new();
    let mut stderr = node.stderr.take().unwrap();
    let (done, _) = tokio::join!(lines.next_line(), stderr.read_to_string(&mut errors));
    let status = node.wait().await.unwrap();
    assert!(status.success(), "{errors}");
    let done: Value = serde_json::from_str(&done.unwrap().expect("no result line")).unwrap();
    eprintln!("{done:#}");
    engine.shutdown().await;
    serving.abort();
}

// The plugins of `js/lib/differential-published.js`.

fn local() -> Plugin {
    let refuse = || async { Err::<(), _>("local refuses") };
    Plugin::new("local").method("echo", |value: Payload| async move { value }).method("refuse", refuse)
}

fn asker() -> Plugin {
    Plugin::new("asker").method("ask", |ctx: Context| async move {
        let answer = ctx.client().call::<Payload>("probe", "m", ()).await;
        answer.map_err(|error| Fault::from_payload(error.to_payload()))
    })
}

fn probe() -> Plugin {
    Plugin::new("probe")
        .method("echo", |value: Payload| async move { value })
        .method("fail", || async { Err::<(), _>("it fails") })
        .method("relay", |ctx: Context, name: String, method: String, args: Rest| async move {
            ctx.client().call::<Payload>(&name, &method, args).await
        })
        .service("tools", Service::new().method("ping", || async { "pong" }))
}
