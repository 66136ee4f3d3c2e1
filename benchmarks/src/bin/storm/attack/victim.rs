//! The victim: this program as a child process, with one server or engine in its default configuration.

use std::time::Duration;

use clap::{Args, ValueEnum};
use connector_core::{CallError, ClientConfig, Context, Engine, Payload, Plugin, Rest, Serving, serve};
use examples::{Done, report, stdin_ended};
use transport_ipc::{ChannelKind, Program};
use transport_ws::stp::{StpHub, StpHubConfig};
use transport_ws::{WsServer, WsServerConfig};

/// What is attacked.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A plugin behind a websocket server.
    Ws,
    /// A plugin behind a websocket server with a token.
    WsToken,
    /// A plugin behind a socket.io server.
    #[cfg(feature = "socketio")]
    Socketio,
    /// A plugin behind a socket.io server with a token.
    #[cfg(feature = "socketio")]
    SocketioToken,
    /// A plugin behind a local socket.
    Local,
    /// An STP hub.
    Hub,
    /// An engine, whose plugins are given.
    Engine,
}

/// The token of the victims that have one.
pub(crate) const TOKEN: &str = "correct horse battery staple";

#[derive(Args)]
pub(crate) struct VictimArgs {
    kind: Kind,
    /// A plugin of the engine, behind a websocket: `name=ws://…`.
    #[arg(long)]
    plugin: Vec<String>,
    /// The program and the arguments of the engine's child process, which is its plugin `child`.
    #[arg(long, num_args = 1.., allow_hyphen_values = true)]
    child: Vec<String>,
}

pub(crate) async fn run(args: VictimArgs) -> Done {
    match args.kind {
        Kind::Ws => websocket(WsServerConfig::default()).await,
        Kind::WsToken => websocket(WsServerConfig::default().token(TOKEN)).await,
        #[cfg(feature = "socketio")]
        Kind::Socketio => socketio(transport_socketio::SocketIoServerConfig::default()).await,
        #[cfg(feature = "socketio")]
        Kind::SocketioToken => socketio(transport_socketio::SocketIoServerConfig::default().token(TOKEN)).await,
        Kind::Local => {
            let name = format!("storm-{}", std::process::id());
            let (url, serving) = transport_ipc::local::serve(&name, plugin)?;
            until_stdin_ends(&url, serving).await
        }
        Kind::Hub => {
            let hub = StpHub::bind("127.0.0.1:0", StpHubConfig::default()).await?;
            report(format_args!("ready {}", hub.url()));
            hub.serve_until(stdin_ended()).await;
            Ok(())
        }
        Kind::Engine => engine(args.plugin, args.child).await,
    }
}

async fn websocket(config: WsServerConfig) -> Done {
    let server = WsServer::bind("127.0.0.1:0", config).await?;
    let url = server.url();
    until_stdin_ends(&url, serve(server, plugin, ClientConfig::default())).await
}

#[cfg(feature = "socketio")]
async fn socketio(config: transport_socketio::SocketIoServerConfig) -> Done {
    let (url, serving) = transport_socketio::serve_with("127.0.0.1:0", plugin, config).await?;
    until_stdin_ends(&url, serving).await
}

async fn until_stdin_ends(url: &str, serving: Serving) -> Done {
    report(format_args!("ready {url}"));
    serving.until(stdin_ended()).await;
    Ok(())
}

/// The plugin behind each server.
fn plugin() -> Plugin {
    Plugin::new("victim").method("echo", echo).method("big", big).method("work", work)
}

async fn echo(value: Payload) -> Payload {
    value
}

/// A text of that many bytes.
async fn big(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Works for a time; further arguments are ignored.
async fn work(ms: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    ms
}

/// Emits events whose data is a value, not text.
async fn burst(ctx: Context, events: usize, bytes: usize) -> Result<(), CallError> {
    for _ in 0..events {
        ctx.client().emit("value", ("x".repeat(bytes),)).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Subscribes to those events, and then blocks its thread.
async fn block(ctx: Context, ms: u64) -> Result<(), CallError> {
    ctx.client().on("store", "value", |_: Rest| {})?;
    // Its link's task sends the subscription meanwhile.
    tokio::time::sleep(Duration::from_millis(200)).await;
    std::thread::sleep(Duration::from_millis(ms));
    Ok(())
}

/// Emits events at full speed, until the call is cancelled.
async fn flood(ctx: Context) -> Result<(), CallError> {
    loop {
        ctx.client().emit("tick", (1,)).await?;
    }
}

/// The polite plugin and the hostile one are among `plugins`. `store` is used by the hostile one alone.
async fn engine(plugins: Vec<String>, child: Vec<String>) -> Done {
    let engine = Engine::new();
    engine.register(Plugin::new("app").method("echo", echo))?;
    engine.register(Plugin::new("worker").method("work", work))?;
    engine.register(Plugin::new("store").method("big", big).method("burst", burst))?;
    if let [program, args @ ..] = &child[..] {
        let channel = if program == "node" { ChannelKind::Node } else { ChannelKind::Stdio };
        engine.register(transport_ipc::child("child", Program::new(program).args(args).channel(channel)))?;
        let manager = engine.manager();
        // A hostile child never becomes active.
        tokio::spawn(async move { manager.activate("child").await });
    }
    let thread = || Plugin::new("thread").method("flood", flood).method("block", block);
    engine.register(transport_worker::worker("thread", thread))?;
    // Connections to a listener that does not accept are made, but nothing answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    engine.register(transport_ws::plugin("silent", &format!("ws://{}", silent.local_addr()?)))?;
    // Everything but the host and the port is secret.
    engine.register(transport_ws::plugin("unreachable", "ws://user:s3cret@127.0.0.1:9/s3cret?token=s3cret"))?;
    for name in ["app", "worker", "store"] {
        engine.manager().activate(name).await?;
    }
    for plugin in &plugins {
        let (name, url) = plugin.split_once('=').ok_or("a plugin is name=url")?;
        engine.register(transport_ws::plugin(name, url))?;
        engine.manager().activate(name).await?;
    }
    report("ready");
    stdin_ended().await;
    Ok(())
}
