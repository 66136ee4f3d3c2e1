//! One function for each command.

use std::io::{IsTerminal, Write};
use std::pin::pin;

use connector_core::{Event, Payload, Rest, redacted_url};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::failure::{Failure, lines};
use crate::host::{Host, Plugins};
use crate::output::{compact, json_line, line, print};

pub(crate) async fn ls(plugins: Plugins, json: bool) -> Result<(), Failure> {
    let host = Host::new(plugins).await?;
    let (mut rows, mut failed) = (Vec::new(), None);
    for (name, activated) in host.activate_all().await {
        let methods = host.engine.manager().profile(name).and_then(|profile| profile.methods).unwrap_or_default();
        match activated {
            Ok(()) if json => rows.push(json!({ "name": name, "methods": methods })),
            Ok(()) => {
                print(line(name))?;
                methods.iter().try_for_each(|method| print(format_args!("  {}", line(method))))?;
            }
            Err(failure) => {
                match json {
                    true => rows.push(json!({ "name": name, "methods": [], "error": failure.text() })),
                    false => print(format_args!("{}\n  error: {}", line(name), lines(&failure.text())))?,
                }
                failed = Some(Failure::unreachable(format!("{name} could not be activated")));
            }
        }
    }
    host.close().await;
    if json {
        print(line(&Value::Array(rows).to_string()))?;
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
    if let Some(Value::String(url)) =
        profile.get_mut("url").filter(|url| url.as_str().is_some_and(|url| url.contains("://")))
    {
        *url = redacted_url(url);
    }
    if json {
        return print(line(&profile.to_string()));
    }
    for (field, value) in profile.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        print(format_args!("{field}: {}", line(&value)))?;
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
    let args = args.into_iter().map(|arg| match serde_json::from_str::<&RawValue>(&arg) {
        Ok(json) => compact(json.get()),
        Err(_) => Value::String(arg).to_string(),
    });
    let args = format!("[{}]", args.collect::<Vec<_>>().join(","));
    let args = Payload::from_json(args).map_err(|error| Failure::usage(error.to_string()))?;
    let host = Host::new(plugins).await?;
    host.activate(plugin).await?;
    let outcome = host.local.call_within::<Payload>(host.timeout, plugin, method, args).await;
    host.close().await;
    let result = json_line(&outcome?)?;
    match json {
        true => print(format_args!("{{\"ok\":{result}}}")),
        false => print(result),
    }
}

pub(crate) async fn listen(plugins: Plugins, plugin: &str, event: &str, count: Option<u64>) -> Result<(), Failure> {
    let host = Host::new(plugins).await?;
    // Before the activation, so that events during it are not missed.
    let mut events = host.local.events::<Rest>(plugin, event, 1024)?;
    host.activate(plugin).await?;
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr(), "listening to {event} of {plugin}; Ctrl-C ends it");
    }
    // One for all events: it notices an interrupt between two of them.
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let event = tokio::select! {
            biased;
            _ = &mut interrupted => break,
            event = events.recv() => event,
            lost = host.lost_for_good(plugin) => return Err(lost),
        };
        match event {
            None => break,
            Some(Event::Args(args)) => {
                print(json_line(&Payload::new(args))?)?;
                left -= 1;
            }
            Some(Event::Missed(events)) => {
                let _ =
                    writeln!(std::io::stderr(), "{events} events are missing: they came faster than they were read");
            }
            Some(other) => {
                let _ = writeln!(std::io::stderr(), "{other:?}");
            }
        }
    }
    host.close().await;
    Ok(())
}
