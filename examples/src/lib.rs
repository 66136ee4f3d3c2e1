//! Code shared by the example programs: lines on stdout, traces and errors on stderr.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "these programs print to the terminal")]

mod show;

use std::error::Error;
use std::future::{Future, pending};
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use conformance::{SCRIPT, Script, run_script};
use connector_core::{ClientConfig, ClientConnector, Engine, LinkEnd, Plugin, Registration, connect};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio::sync::{SetOnce, watch};
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

pub use self::show::Show;

/// The result of a program.
pub type Done = Result<(), Box<dyn Error>>;

/// Runs a program to its end, on as many threads as there are processors. Traces go to stderr: warnings by default,
/// without those of async-nats, otherwise as `RUST_LOG` says.
pub fn run(program: impl Future<Output = Done>) -> ExitCode {
    run_on(true, program)
}

/// As [`run`], on many threads or on one.
pub fn run_on(many_threads: bool, program: impl Future<Output = Done>) -> ExitCode {
    run_with("warn", many_threads, program)
}

/// As [`run`], for a program that causes failures on purpose, with another default level such as `error`.
pub fn run_quietly(traces: &str, program: impl Future<Output = Done>) -> ExitCode {
    run_with(traces, true, program)
}

fn run_with(traces: &str, many_threads: bool, program: impl Future<Output = Done>) -> ExitCode {
    // async-nats traces what these programs print, or what a plugin's link says.
    let default = || EnvFilter::new(format!("{traces},async_nats=off"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default());
    let to_stderr = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    to_stderr.with_env_filter(filter).init();
    let mut builder = match many_threads {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| run_while_read(runtime, program)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a program until it ends, or until [`report`] cannot write. Then the program is dropped, with the processes that it has started.
fn run_while_read(runtime: Runtime, program: impl Future<Output = Done>) -> Done {
    let done = runtime.block_on(async {
        tokio::select! {
            done = program => done,
            _ = UNWRITTEN.wait() => Ok(()),
        }
    });
    let Some(error) = UNWRITTEN.get() else { return done };
    // It would wait for a thread that reads standard input.
    runtime.shutdown_background();
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(format!("cannot write to standard output: {error}").into()),
    }
}

/// Completes when standard input ends, which it does with the process that holds its other end. Cancel safe.
pub async fn stdin_ended() {
    let (mut stdin, mut ignored) = (tokio::io::stdin(), [0; 64]);
    while stdin.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}

#[derive(clap::Args)]
#[allow(missing_docs, reason = "it would replace the help text of each program with this option")]
pub struct Steps {
    /// A JSON array of steps; by default the script that the published packages are tested with.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

#[derive(clap::Args)]
#[allow(missing_docs, reason = "it would replace the help text of each program with these options")]
pub struct Dial {
    /// Where the plugin listens, for example ws://127.0.0.1:4000, or for socket.io http://127.0.0.1:4000.
    #[arg(long)]
    pub url: String,
    #[command(flatten)]
    pub steps: Steps,
}

#[derive(clap::Args)]
#[allow(missing_docs, reason = "it would replace the help text of each program with these options")]
pub struct Listen {
    /// The port to listen on; 0 chooses a free one, which the `ready` line contains.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// The origin of pages that may connect, for example http://127.0.0.1:8080; may be given more than once. Without it
    /// none may.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
}

/// The body of an engine program that dials its plugin: parses the arguments and drives the plugin at the URL.
pub fn dial(about: &'static str, plugin: impl FnOnce(&str) -> Registration) -> ExitCode {
    #[derive(Parser)]
    #[command(version)]
    struct Args {
        #[command(flatten)]
        dial: Dial,
    }
    let matches = Args::command().about(about).get_matches();
    let Args { dial } = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    run(drive(plugin(&dial.url), dial.steps))
}

/// The body of every engine program: registers the plugin, runs the script of steps, prints a line for each step, which
/// [`conformance::run_script`] makes, and shuts down gracefully.
///
/// # Errors
/// The script cannot be read, or a step that activates the plugin `probe` fails; the later steps run anyway.
pub async fn drive(plugin: Registration, steps: Steps) -> Done {
    let script = match steps.script {
        Some(file) => {
            std::fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?
        }
        None => SCRIPT.to_owned(),
    };
    let engine = Engine::new();
    engine.register(plugin)?;
    let (parsed, mut failed) = (Script::parse(&script)?, None);
    let steps: Vec<Value> = serde_json::from_str(&script)?;
    let report_and_check = |line: String| {
        failed = failed.take().or_else(|| failed_activation(&steps, &line));
        report(line);
    };
    run_script(&engine, &parsed, report_and_check).await?;
    engine.shutdown().await;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// The reason why the plugin `probe` was not activated, if this line of the script reports that.
fn failed_activation(steps: &[Value], line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let (error, number) = (line.get("error")?, line.get("step")?.as_u64()?);
    let step = steps.get(usize::try_from(number).ok()?)?;
    let names = step.get("name")?;
    let is_probe = names == "probe" || names.as_array().is_some_and(|names| names.iter().any(|name| name == "probe"));
    (is_probe && step.get("do")? == "activate").then(|| match error.as_str() {
        Some(text) => text.to_owned(),
        None => error.to_string(),
    })
}

/// Serves a plugin to every engine that connects, prints a line for each connection and its end, and stops
/// gracefully when it is interrupted. Without the lines it would be [`connector_core::serve`] with
/// [`until`](connector_core::Serving::until).
///
/// If `cut_after` is given, each connection is cut after that time, without a close.
pub async fn serve_and_report(
    mut server: impl ClientConnector,
    plugin: impl Fn() -> Plugin,
    cut_after: Option<Duration>,
    closed: fn(&LinkEnd) -> Value,
) -> Done {
    let (stop, stopping) = watch::channel(());
    let (mut sessions, mut interrupted) = (JoinSet::new(), pin!(interrupted()));
    loop {
        let link = tokio::select! {
            link = server.accept() => link?,
            () = &mut interrupted => break,
        };
        report(serde_json::json!({ "event": "connection" }));
        let (client, session) = connect(link, plugin(), ClientConfig::default());
        let mut stopping = stopping.clone();
        while sessions.try_join_next().is_some() {}
        sessions.spawn(async move {
            let cut = async {
                match cut_after {
                    Some(time) => tokio::time::sleep(time).await,
                    None => pending().await,
                }
            };
            let finish = async {
                // Resolves with an error when the sender is dropped.
                let _ = stopping.changed().await;
                client.finish().await;
                pending::<()>().await;
            };
            let end = tokio::select! {
                end = session => end,
                () = cut => LinkEnd::lost("cut"),
                () = finish => LinkEnd::Disconnected,
            };
            report(closed(&end));
        });
    }
    server.stopping();
    drop(stop);
    while sessions.join_next().await.is_some() {}
    Ok(())
}

/// Ready when this program must stop: on Ctrl-C, and on Unix on `TERM`, which stops services.
pub async fn interrupted() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    #[cfg(unix)]
    if let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            () = ctrl_c => {}
            _ = term.recv() => {}
        }
        return;
    }
    ctrl_c.await;
}

/// An error of a program whose option `--token` sets a token: it names the option instead of the library's settings.
pub fn naming_the_option(error: impl Error) -> Box<dyn Error> {
    let text = error.to_string().replace("WsConnectorConfig::token", "--token");
    text.replace("WsServerConfig::token", "--token").into()
}

/// Why a line could not be written.
static UNWRITTEN: SetOnce<std::io::Error> = SetOnce::const_new();

/// Prints one line and flushes it, because the reader may wait for it.
///
/// If the reader has closed the pipe, as `| head -1` does, the program ends quietly as soon as it waits. Any other failure is an error
/// of the program, which ends it as well.
pub fn report(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        // The first reason counts.
        let _ = UNWRITTEN.set(error);
    }
}

/// Compiles the programs in the workspace's README and guides.
#[cfg(all(doctest, feature = "ipc", feature = "ws"))]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;
    #[doc = include_str!("../../docs/beyond-one-machine.md")]
    struct BeyondOneMachine;
    #[cfg(feature = "nats")]
    #[doc = include_str!("../../docs/transports.md")]
    struct Transports;
    #[cfg(feature = "inspect")]
    #[doc = include_str!("../../docs/inspector.md")]
    struct Inspector;
}
