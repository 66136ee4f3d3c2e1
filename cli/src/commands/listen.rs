//! `connector listen`.

use std::io::Write;
use std::pin::pin;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use connector_core::{Event, EventStream, Payload, Rest};
use connector_inspect::Recorder;
use serde_json::json;

use crate::completion;
use crate::failure::Failure;
use crate::host::Host;
use crate::output::{compact, json_line, line, print};
use crate::recording::{self, RecordTo};
use crate::target::Target;
use crate::viewer::{Viewer, ViewerEvent};

/// Prints the arguments of an event each time it occurs, until it is interrupted.
///
/// All plugins that are given are activated, because another one may cause the events.
#[derive(Args)]
pub(crate) struct Listen {
    /// The emitter's name.
    #[arg(add = ArgValueCompleter::new(completion::plugins))]
    plugin: String,
    /// The event.
    #[arg(add = ArgValueCompleter::new(completion::events))]
    event: String,
    /// Ends after this many events.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    recording: RecordTo,
    #[command(flatten)]
    target: Target,
}

impl Listen {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Listen { plugin, event, count, recording, target } = self;
        let mut source = match target.viewer().await? {
            Some(mut viewer) => {
                recording.check_unused()?;
                let members = json!({ "plugin": plugin, "event": event });
                viewer.request("listen", members, None, target.plugins.timeout).await?;
                Source::At(Box::new(viewer))
            }
            None => {
                let host = Host::new(target.plugins).await?;
                let recorder = recording.start(&host.engine)?;
                // Before the activation, so that events during it are not missed.
                let events = host.local.events::<Rest>(&plugin, &event, 1024)?;
                host.activate_with_others(&plugin).await?;
                Source::Host(Box::new(host), events, recorder)
            }
        };
        let subject = line(&format!("{event} of {plugin}"));
        let _ = writeln!(std::io::stderr(), "listening to {subject}; press Ctrl-C to stop");
        // One for all events: it notices an interrupt between two of them.
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        let mut left = count.unwrap_or(u64::MAX);
        while left > 0 {
            let event = tokio::select! {
                biased;
                _ = &mut interrupted => break,
                event = source.event(&plugin) => event?,
            };
            match event {
                Happened::Args(json) => {
                    print(json)?;
                    left -= 1;
                }
                Happened::Other(text) => drop(writeln!(std::io::stderr(), "{text}")),
                Happened::End => break,
            }
        }
        match source {
            Source::Host(host, _, recorder) => {
                host.close().await;
                recording::finish(recorder)
            }
            Source::At(_) => Ok(()),
        }
    }
}

/// Where events come from.
enum Source {
    Host(Box<Host>, EventStream<Rest>, Option<Recorder>),
    At(Box<Viewer>),
}

enum Happened {
    /// The event, with its arguments as a line of JSON.
    Args(String),
    Other(String),
    End,
}

impl Source {
    /// The next event of the plugin. Cancel safe.
    ///
    /// # Errors
    /// The plugin, or the engine, is lost for good.
    async fn event(&mut self, plugin: &str) -> Result<Happened, Failure> {
        let missed =
            |events| Happened::Other(format!("{events} events are missing: they came faster than they were read"));
        match self {
            Source::Host(host, events, _) => {
                let event = tokio::select! {
                    biased;
                    event = events.recv() => event,
                    lost = host.lost_for_good(plugin) => return Err(lost),
                };
                Ok(match event {
                    None => Happened::End,
                    Some(Event::Args(args)) => Happened::Args(json_line(&Payload::new(args))?),
                    Some(Event::Missed(events)) => missed(events),
                    Some(other) => Happened::Other(format!("{other:?}")),
                })
            }
            Source::At(viewer) => Ok(match viewer.event().await? {
                ViewerEvent::Args(args) => Happened::Args(line(&compact(args.get()))),
                ViewerEvent::Missed(events) => missed(events),
                // Only the end of the engine ends this subscription. This message may arrive before the connection closes.
                ViewerEvent::Ended => {
                    return Err(Failure::lost("the connection to the inspector is lost: the engine has ended"));
                }
            }),
        }
    }
}
