//! The plugin, a replica of it in its own program, and the processes of these programs.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use connector_core::{CallError, Context, LinkEnd, Plugin, Profile};
use examples::{Done, report, stdin_ended};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use transport_nats::NatsConfig;

use crate::host::LIMIT;

/// The plugin's name.
pub(crate) const COUNTER: &str = "counter";

/// Returns the id of the replica after a while.
async fn after(ms: u64, id: String) -> String {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    id
}

/// Counts for a while, and returns the id of the replica that did. Emits an event when it begins.
async fn count(ctx: Context, id: String, ms: u64) -> Result<String, CallError> {
    ctx.client().emit("counting", (id.clone(),)).await?;
    Ok(after(ms, id).await)
}

fn counter(id: &str) -> Plugin {
    let (one, other) = (id.to_owned(), id.to_owned());
    Plugin::new(Profile::new(COUNTER).with_events(["counting"]))
        .method("add", |a: i64, b: i64| async move { a + b })
        .method("who", move |ms: u64| after(ms, one.clone()))
        .method("count", move |ctx: Context, ms: u64| count(ctx, other.clone(), ms))
}

/// Serves the plugin until the process that started this one closes its standard input, or has ended; then gracefully stops.
pub(crate) async fn serve(id: String, server: Option<String>, prefix: String) -> Done {
    let config = NatsConfig::new(server.ok_or("give --server")?).prefix(prefix).replica(&id);
    let serving = transport_nats::serve(move || counter(&id), config).await?;
    report("ready");
    match serving.until(stdin_ended()).await {
        LinkEnd::Disconnected => Ok(()),
        end => Err(end.into()),
    }
}

/// The process of a replica: this same program. It is killed when this is dropped.
pub(crate) struct Process {
    pub(crate) id: &'static str,
    child: Child,
}

impl Process {
    /// Ready when it serves.
    pub(crate) async fn start(id: &'static str, config: &NatsConfig) -> Result<Process, Box<dyn std::error::Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        // Not as an argument, which others can see: it may contain a password.
        command.env("NATS_URL", config.servers.concat()).args(["replica", id, "--prefix", &config.prefix]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().ok_or("the replica's process has no stdout")?;
        let mut line = String::new();
        timeout(LIMIT, BufReader::new(stdout).read_line(&mut line)).await??;
        if line.is_empty() {
            return Err(format!("the process of the replica {id} ended before it was ready").into());
        }
        Ok(Process { id, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Kills it at once, as `kill -9` does.
    pub(crate) async fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill().await
    }

    /// Stops it gracefully, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<ExitStatus, Box<dyn std::error::Error>> {
        drop(self.child.stdin.take());
        Ok(timeout(LIMIT, self.child.wait()).await??)
    }
}
