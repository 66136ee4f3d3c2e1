//! `connector ls`.

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Failure, lines};
use crate::host::{Host, Plugins};
use crate::output::{line, print};

/// Lists the plugins and their methods.
#[derive(Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    plugins: Plugins,
}

impl Ls {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let host = Host::new(self.plugins).await?;
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
}
