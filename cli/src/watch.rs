//! An engine that a command watches: a running one, or one of its own, which it shows to itself by an inspector.

use connector_inspect::{Inspector, ServeOptions};
use futures_util::future::join_all;
use serde_json::Value;

use crate::failure::Failure;
use crate::host::{CALLER, Host};
use crate::target::Target;
use crate::viewer::Viewer;

pub(crate) struct Watch {
    pub(crate) viewer: Viewer,
    own: Option<Own>,
}

struct Own {
    inspector: Inspector,
    host: Host,
    failed: Option<Failure>,
}

impl Watch {
    /// Plugins of the command line are activated. One that cannot be activated is among the plugins of the viewer, with its
    /// error.
    pub(crate) async fn start(target: Target) -> Result<Watch, Failure> {
        if let Some(viewer) = target.viewer().await? {
            return Ok(Watch { viewer, own: None });
        }
        let host = Host::new(target.plugins).await?;
        // Of records it needs none.
        let options = ServeOptions::default().recent(1, 1024);
        let inspector = host.inspect(options).await?;
        let activated = join_all(host.at_start.iter().map(|name| inspector.activate(name))).await;
        let failed = activated.into_iter().find_map(Result::err).map(Failure::from);
        let mut viewer = Viewer::connect(inspector.url(), host.timeout).await?;
        viewer.hide(CALLER);
        Ok(Watch { viewer, own: Some(Own { inspector, host, failed }) })
    }

    /// # Errors
    /// A plugin of the command line could not be activated, which has been shown.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        drop(self.viewer);
        let Some(Own { inspector, host, failed }) = self.own else { return Ok(()) };
        inspector.close().await;
        host.close().await;
        failed.map_or(Ok(()), |failure| Err(failure.silent()))
    }
}

/// The text of a member; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

pub(crate) fn number(value: &Value, member: &str) -> u64 {
    value[member].as_u64().unwrap_or_default()
}

/// A duration in microseconds, for people.
pub(crate) fn duration(micros: u64) -> String {
    match micros {
        0 => "-".to_owned(),
        1..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}
