//! `connector ls`.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Failure, lines};
use crate::host::Host;
use crate::output::{line, print};
use crate::target::Target;
use crate::viewer::Viewer;

/// Lists the plugins and their methods.
#[derive(Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    target: Target,
}

/// A plugin.
struct Row {
    name: String,
    methods: Vec<String>,
    error: Option<String>,
}

impl Ls {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        if let Some(viewer) = self.target.viewer().await? {
            let rows = rows_at(viewer, self.target.plugins.timeout).await?;
            return print_rows(rows, json);
        }
        let host = Host::new(self.target.plugins).await?;
        let (mut rows, mut failed) = (Vec::new(), None);
        for (name, activated) in host.activate_all().await {
            let profile = host.engine.manager().profile(name);
            let (methods, error) = match activated {
                Ok(()) => (profile.and_then(|profile| profile.methods).unwrap_or_default(), None),
                Err(failure) => {
                    let text = failure.text();
                    failed = Some(failure.silent());
                    (Vec::new(), Some(text))
                }
            };
            rows.push(Row { name: name.to_owned(), methods, error });
        }
        host.close().await;
        print_rows(rows, json)?;
        failed.map_or(Ok(()), Err)
    }
}

/// Of a running engine.
async fn rows_at(mut viewer: Viewer, limit: Duration) -> Result<Vec<Row>, Failure> {
    let texts = |methods: &Value| {
        methods.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (mut rows, mut cut) = (Vec::new(), Vec::new());
    for (name, members) in viewer.plugins().await? {
        let profile = members.get("profile").unwrap_or(&Value::Null);
        if profile.get("methodCount").is_some() {
            cut.push(rows.len());
        }
        let error = members.get("error").and_then(Value::as_str).map(str::to_owned);
        rows.push(Row { name: name.to_owned(), methods: texts(&profile["methods"]), error });
    }
    for index in cut {
        let row: &mut Row = &mut rows[index];
        row.methods = texts(&viewer.details(&row.name, limit).await?["profile"]["methods"]);
    }
    Ok(rows)
}

fn print_rows(rows: Vec<Row>, json: bool) -> Result<(), Failure> {
    if json {
        let rows = rows.into_iter().map(|Row { name, methods, error }| match error {
            None => json!({ "name": name, "methods": methods }),
            Some(error) => json!({ "name": name, "methods": methods, "error": error }),
        });
        return print(line(&Value::Array(rows.collect()).to_string()));
    }
    for Row { name, methods, error } in rows {
        print(line(&name))?;
        if let Some(error) = error {
            // The list remains one of plugins and methods for what reads it.
            let _ = writeln!(std::io::stderr(), "error: {}: {}", line(&name), lines(&error));
        }
        methods.iter().try_for_each(|method| print(format_args!("  {}", line(method))))?;
    }
    Ok(())
}
