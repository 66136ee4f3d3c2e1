//! `connector stats`.

use std::future::pending;
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

use crate::failure::Failure;
use crate::host::seconds;
use crate::interrupt::interrupted;
use crate::output::{line, print};
use crate::target::Target;
use crate::watch::{Watch, duration, number, text};

/// Counts the calls to each plugin and method, with errors and durations.
///
/// Of a running engine (--at), the calls since its inspector began. Of plugins that are given, the calls between them until
/// Ctrl-C, or for some --seconds.
#[derive(Args)]
pub(crate) struct Stats {
    /// How long to watch first, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    #[command(flatten)]
    target: Target,
}

impl Stats {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let Stats { seconds, target } = self;
        let limit = target.plugins.timeout;
        let is_running = target.at.is_some();
        let no_signals = |error| Failure::usage(format!("cannot wait for Ctrl-C: {error}"));
        let mut interrupted = pin!(interrupted().map_err(no_signals)?);
        let mut watch = tokio::select! {
            biased;
            () = &mut interrupted => return Ok(()),
            watch = Watch::start(target) => watch?,
        };
        let watched = async {
            match seconds {
                Some(time) => tokio::time::sleep(time).await,
                None if is_running => {}
                None => pending().await,
            }
        };
        let lost = async {
            // Reads what the inspector sends meanwhile.
            loop {
                if let Err(failure) = watch.viewer.changed().await {
                    return failure;
                }
            }
        };
        if seconds.is_none() && !is_running {
            let _ = writeln!(std::io::stderr(), "counting; press Ctrl-C for the result");
        }
        tokio::select! {
            biased;
            () = &mut interrupted => {}
            () = watched => {}
            failure = lost => return Err(failure),
        }
        let shown = watch.viewer.plugins().await?;
        let shown = shown.map(|(name, members)| {
            let is_called = members.get("statistics").is_some_and(Value::is_object);
            (name.to_owned(), is_called, members.get("error").cloned().unwrap_or_default())
        });
        let mut rows = Vec::new();
        for (name, is_called, error) in shown.collect::<Vec<_>>() {
            // Of an engine with many plugins, the details of each would take long.
            if is_called || !is_running || !error.is_null() {
                let details = watch.viewer.details(&name, limit).await?;
                rows.push(called(details, error));
            }
        }
        match json {
            true => print(line(&Value::Array(rows).to_string()))?,
            false => print_table(&rows)?,
        }
        watch.close().await
    }
}

/// The details of a plugin without its profile, and without methods that were not called.
fn called(mut details: Value, error: Value) -> Value {
    if let Some(members) = details.as_object_mut() {
        members.remove("profile");
        if let Some(Value::Array(methods)) = members.get_mut("methods") {
            methods.retain(|method| ["calls", "waiting", "running"].iter().any(|count| number(method, count) > 0));
        }
        if !error.is_null() {
            members.insert("error".to_owned(), error);
        }
    }
    details
}

fn print_table(rows: &[Value]) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let counts = ["calls", "errors", "dropped", "waiting", "running"];
    let durations = ["mean", "p50", "p99", "max"];
    table.set_header(["plugin", "method"].iter().chain(&counts).chain(&durations));
    let mut errors = Vec::new();
    for plugin in rows {
        let name = line(text(plugin, "name"));
        if let Some(error) = plugin["error"].as_str() {
            errors.push(format!("{name}: {}", line(error)));
        }
        for method in plugin["methods"].as_array().into_iter().flatten() {
            let method_name = line(text(method, "name"));
            let cells = [name.clone(), method_name.clone()].into_iter();
            let cells = cells.chain(counts.map(|count| number(method, count).to_string()));
            table.add_row(cells.chain(durations.map(|time| duration(number(method, time)))));
            if let Some(error) = method["lastError"]["text"].as_str() {
                let from = line(text(&method["lastError"], "from"));
                errors.push(format!("{name}.{method_name}, called by {from}: {}", line(error)));
            }
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt().lines().try_for_each(print)?;
    if table.row_count() == 0 {
        print("no calls")?;
    }
    if !errors.is_empty() {
        print("\nlast errors:")?;
    }
    errors.iter().try_for_each(|error| print(format_args!("  {error}")))
}
