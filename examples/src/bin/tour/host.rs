//! The host: registers the plugins and calls them.

use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use connector_core::{Engine, LinkState, Plugin, PluginClient};
use examples::{Done, Show};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::Over;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The time limit of each step.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn tour() -> Done {
    let mut show = Show::default();
    let calculator = Process::start("calculator", 0, Over::Ws).await?;
    let editor = Process::start("editor", 0, Over::Ws).await?;

    let engine = Engine::new();
    let local =
        engine.register(Plugin::new("local").method("greet", |name: String| async move { format!("hello {name}") }))?;
    engine.register(transport_ws::plugin("calculator", &calculator.url))?;
    engine.register(transport_ws::plugin("editor", &editor.url))?;
    for name in ["local", "calculator", "editor"] {
        engine.manager().activate(name).await?;
    }
    let place = |process: &Process| format!("{}, process {}", process.url, process.pid());
    let here = format!("here, process {}", std::process::id());
    show.connected(&engine, [("local", here), ("calculator", place(&calculator)), ("editor", place(&editor))]);

    let (sender, mut saved) = mpsc::unbounded_channel();
    local.on("editor", "saved", move |name: String, words: u64| drop(sender.send((name, words))))?;
    calls(&local, &mut show).await;
    let event = timeout(LIMIT, saved.recv()).await?;
    show.step(
        "local receives editor's event saved",
        event.map(|(name, words)| format!("{name}, {words} words")).ok_or("nothing"),
    );
    refusals(&local, &mut show).await;
    cancels(&local, &mut show).await;
    let editor = cut_and_heal(&engine, &local, editor, &mut show).await?;
    let event = timeout(LIMIT, saved.recv()).await?;
    show.step(
        "local still receives the event",
        event.map(|(name, words)| format!("{name}, {words} words")).ok_or("nothing"),
    );

    #[cfg(feature = "ipc")]
    crate::children::show(&engine, &local, &mut show).await?;
    #[cfg(feature = "worker")]
    crate::elsewhere::thread(&engine, &local, &mut show).await?;
    #[cfg(feature = "socketio")]
    crate::elsewhere::socketio(&engine, &local, &mut show).await?;

    engine.shutdown().await;
    drop((calculator, editor));
    show.end();
    Ok(())
}

async fn calls(local: &PluginClient, show: &mut Show) {
    let sum = local.call::<f64>("calculator", "add", (20, 22.5)).await;
    show.step("local calls calculator.add(20, 22.5)", sum);
    let metres = local.call::<f64>("calculator.units", "metres", (10,)).await;
    show.step("local calls the service calculator.units.metres(10)", metres);
    let words = ["plugins", "call", "plugins"].map(str::to_owned).to_vec();
    let count = local.call::<u64>("editor", "save", ("notes.txt", words)).await;
    show.step("local calls editor.save(…), which calls calculator.add three times", count);
}

async fn refusals(local: &PluginClient, show: &mut Show) {
    show.step("the plugin's own error", local.call::<f64>("calculator", "divide", (1, 0)).await);
    show.step("an argument of the wrong type", local.call::<f64>("calculator", "add", (1, "two")).await);
    show.step("refused: not exposed", local.call::<f64>("calculator", "launch", ()).await);
    show.step("refused: not registered", local.call::<f64>("nobody", "add", (1, 2)).await);
}

async fn cancels(local: &PluginClient, show: &mut Show) {
    let slow = local.call::<Vec<u64>>("calculator", "factorSlowly", (1_u64 << 60,));
    let (ended, cancelled) = tokio::join!(slow, local.cancel("calculator", Some("factorSlowly")));
    show.step("local cancels a call that would take an hour", cancelled.map(|()| "done"));
    show.step("… and the call ends", ended);
    let limited = local.call_within::<Vec<u64>>(Duration::from_millis(50), "calculator", "factorSlowly", (7,)).await;
    show.step("a call with its own time limit", limited);
}

/// Kills the editor's process and restarts it on the same port.
async fn cut_and_heal(engine: &Engine, local: &PluginClient, mut editor: Process, show: &mut Show) -> Result<Process> {
    let mut link = engine.link_state("editor").ok_or("the editor has no link")?;
    let (name, port) = (editor.name, editor.port());
    // The port is free once the process has ended, which may be after the engine has lost the link.
    editor.child.kill().await?;
    let state = timeout(LIMIT, link.wait_for(|state| !state.is_up())).await??.clone();
    show.step("the editor's process is killed: its link is", Ok::<_, LinkState>(state.to_string()));
    let words = || vec!["healed".to_owned()];
    show.step("a call meanwhile ends at once", local.call::<u64>("editor", "save", ("notes.txt", words())).await);
    let editor = Process::start(name, port, Over::Ws).await?;
    let state = timeout(LIMIT, link.wait_for(LinkState::is_up)).await??.clone();
    show.step("it is started again: its link is", Ok::<_, LinkState>(state.to_string()));
    show.step(
        "local calls editor.save(…) as before",
        local.call::<u64>("editor", "save", ("notes.txt", words())).await,
    );
    Ok(editor)
}

/// A plugin's process: this same program. It is killed when this is dropped, and ends on its own when the tour does.
pub(crate) struct Process {
    name: &'static str,
    pub(crate) url: String,
    child: Child,
}

impl Process {
    pub(crate) async fn start(name: &'static str, port: u16, over: Over) -> Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["plugin", name, "--port", &port.to_string()]);
        if let Some(over) = over.to_possible_value() {
            command.args(["--over", over.get_name()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().ok_or("the plugin's process has no stdout")?;
        let mut url = String::new();
        timeout(LIMIT, BufReader::new(stdout).read_line(&mut url)).await??;
        if url.is_empty() {
            return Err(format!("the process of plugin {name} ended before it was ready").into());
        }
        Ok(Process { name, url: url.trim().to_owned(), child })
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
    }
}
