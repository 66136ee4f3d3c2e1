//! What a peer can put into the host's log: a bounded number of bounded lines, without control characters.

use tracing::Level;

use crate::capabilities::Capabilities;
use crate::failure::{Failure, check, shown};
use crate::fixture::Fixture;
use crate::harness::{CheckedLink, Harness, pair};
use crate::host::{Notes, subject};
use crate::scripted_peer::{ScriptedPluginHost, handshake, request, response, start_plugin};
use crate::traces::{Traces, traces};
use connector_core::{Action, Message, Name, Payload};

/// Messages sent by a flooding peer. At 100 lines per second, twenty seconds' worth.
const FLOOD: usize = 20_000;
const MAX_LINES: usize = 2_000;
/// Several texts of 200 characters, escaped.
const MAX_LINE: usize = 8 * 1024;

const HINT: &str = "traces of frames by the transport: limit them with a TraceLimit, and show them as an Excerpt";

/// A name that forges a line, clears the screen and reverses the text that follows.
fn hostile(length: usize) -> Name {
    let text = "\x1b[2Jx\r\nERROR forged\u{202e}\u{9b}31m";
    format!("{text}{}", "x".repeat(length.saturating_sub(text.len()))).into()
}

async fn flood(sender: &mut CheckedLink, has: &Capabilities, kinds: &[Message]) -> Result<(), Failure> {
    let long = hostile((has.max_message / 4).min(1 << 20));
    for message in kinds {
        let message = message.clone();
        sender.send(Message { name: Some(long.clone()), ..message }).await?;
    }
    for message in kinds.iter().cycle().take(FLOOD) {
        sender.queue(message.clone()).await?;
    }
    Ok(())
}

fn check_bounds(traces: &Traces) -> Result<(), Failure> {
    let lines = traces.lines();
    check(lines.len() <= MAX_LINES, || {
        Failure::new(format_args!("at most {MAX_LINES} lines of traces"), lines.len()).hint(HINT)
    })?;
    let bad = |line: &&String| line.len() > MAX_LINE || line.contains(|c: char| c.is_control() || c == '\u{202e}');
    match lines.iter().find(bad) {
        Some(line) => Err(Failure::new("short lines without control characters", shown(line)).hint(HINT)),
        None => Ok(()),
    }
}

/// A plugin that sends messages that the engine rejects does not fill the log of the engine's host.
pub async fn a_plugin_cannot_flood_the_engines_log(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let traces = traces(Level::INFO);
    let named = Message { name: Some(hostile(60)), key: Some(hostile(60)), ..Message::new(Action::Cancel) };
    let kinds = [
        named.clone(),
        Message { name: Some("local".into()), ..named.clone() },
        Message { key: None, ..Message::new(Action::Emit) },
        Message { action: Action::Response, id: Some(77.into()), ..named.clone() },
        Message { action: Action::Off, key: None, ..named },
    ];
    flood(&mut plugin, &host.has, &kinds).await?;
    // Answered after everything before it.
    let mut call = host.start("echo", ("x",));
    let request = plugin.next().await?;
    plugin.send(response(&request, Some(Payload::new("x")))).await?;
    let answered = call.outcome(&host.has).await?;
    answered.map_err(|error| Failure::new("the call's result", error))?;
    check_bounds(&traces)
}

/// An engine that sends messages that the plugin rejects does not fill the log of the plugin's program.
pub async fn an_engine_cannot_flood_the_plugins_log(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, harness) = pair(fixture).await?;
    let (mut engine, _client, _task) = start_plugin(engine, plugin, subject(&Notes::default())).await?;
    let traces = traces(Level::INFO);
    let named = Message { name: Some(hostile(60)), key: Some(hostile(60)), ..Message::new(Action::Notification) };
    let kinds = [
        named.clone(),
        Message { payload: Some(Payload::new(hostile(60).to_string())), ..named.clone() },
        Message { action: Action::On, ..named.clone() },
        Message { action: Action::Response, id: Some(77.into()), ..named },
    ];
    flood(&mut engine, &harness.has, &kinds).await?;
    engine.send(request(7, "echo", Payload::new((5,)))).await?;
    engine.next().await?;
    check_bounds(&traces)?;
    handshake(&mut engine, 8).await.map(drop)
}
