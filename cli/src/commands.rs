//! One function for each command.

use std::io::Write;

use connector_core::{Event, Payload, Rest};
use serde_json::{Value, json};

use crate::failure::{Failure, parsed};
use crate::host::{Host, Plugins};

/// Prints a line. Ends the command quietly if nobody reads any more, for example `head`.
fn print(line: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(|error| Failure::usage(format!("cannot print: {error}"))),
    }
}

pub(crate) async fn ls(plugins: Plugins, json: bool) -> Result<(), Failure> {
    let host = Host::new(plugins).await?;
    let (mut rows, mut failed) = (Vec::new(), None);
    for (name, activated) in host.activate_all().await {
        let methods = host.engine.manager().profile(name).and_then(|profile| profile.methods).unwrap_or_default();
        match activated {
            Ok(()) if json => rows.push(json!({ "name": name, "methods": methods })),
            Ok(()) => print(format_args!("{name}\n  {}", methods.join("\n  ")))?,
            Err(failure) => {
                match json {
                    true => rows.push(json!({ "name": name, "methods": [], "error": failure.text() })),
                    false => print(format_args!("{name}\n  error: {}", failure.text()))?,
                }
                failed = Some(Failure::unreachable(format!("{name} could not be activated")));
            }
        }
    }
    host.close().await;
    if json {
        print(Value::Array(rows))?;
        // The row says what is wrong.
        return failed.map_or(Ok(()), |failure| Err(failure.silent()));
    }
    failed.map_or(Ok(()), Err)
}

pub(crate) async fn info(plugins: Plugins, plugin: Option<String>, json: bool) -> Result<(), Failure> {
    let host = Host::new(plugins).await?;
    let name = match plugin {
        Some(name) => name,
        None if host.names.len() == 1 => host.names[0].clone(),
        None => return Err(Failure::usage(format!("name one of the plugins: {}", host.names.join(", ")))),
    };
    host.activate(&name).await?;
    let profile = host.engine.manager().profile(&name).and_then(|profile| serde_json::to_value(profile).ok());
    let state = host.engine.link_state(&name).map(|state| state.borrow().to_string());
    host.close().await;
    let mut profile = profile.unwrap_or_default();
    if let (Some(profile), Some(state)) = (profile.as_object_mut(), state) {
        profile.insert("link".to_owned(), state.into());
    }
    if json {
        return print(profile);
    }
    for (field, value) in profile.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        print(format_args!("{field}: {value}"))?;
    }
    Ok(())
}

pub(crate) async fn call(
    plugins: Plugins,
    plugin: &str,
    method: &str,
    args: Vec<String>,
    json: bool,
) -> Result<(), Failure> {
    let args: Vec<Value> =
        args.into_iter().map(|arg| serde_json::from_str(&arg).unwrap_or(Value::String(arg))).collect();
    let args = Payload::from_json(Value::Array(args).to_string()).map_err(|error| Failure::usage(error.to_string()))?;
    let host = Host::new(plugins).await?;
    host.activate(plugin).await?;
    let outcome = host.local.call_within::<Payload>(host.timeout, plugin, method, args).await;
    host.close().await;
    let result = parsed(&outcome?).unwrap_or_default();
    match json {
        true => print(json!({ "ok": result })),
        false => print(result),
    }
}

pub(crate) async fn listen(plugins: Plugins, plugin: &str, event: &str, count: Option<u64>) -> Result<(), Failure> {
    let host = Host::new(plugins).await?;
    // Before the activation, so that events during it are not missed.
    let mut events = host.local.events::<Rest>(plugin, event, 1024)?;
    host.activate(plugin).await?;
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tokio::signal::ctrl_c() => break,
        };
        match event {
            None => break,
            Some(Event::Args(args)) => {
                print(serde_json::to_value(&args).map_err(|error| Failure::usage(error.to_string()))?)?;
                left -= 1;
            }
            Some(Event::Missed(events)) => {
                eprintln!("{events} events are missing: they came faster than they were read")
            }
            Some(other) => eprintln!("{other:?}"),
        }
    }
    host.close().await;
    Ok(())
}
