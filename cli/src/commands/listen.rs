//! `connector listen`.

use std::io::{IsTerminal, Write};
use std::pin::pin;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use connector_core::{Event, Payload, Rest};

use crate::completion;
use crate::failure::Failure;
use crate::host::{Host, Plugins};
use crate::output::{json_line, print};
use crate::recording::{self, RecordTo};

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
    plugins: Plugins,
}

impl Listen {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Listen { plugin, event, count, recording, plugins } = self;
        let host = Host::new(plugins).await?;
        let recorder = recording.start(&host.engine)?;
        // Before the activation, so that events during it are not missed.
        let mut events = host.local.events::<Rest>(&plugin, &event, 1024)?;
        host.activate_with_others(&plugin).await?;
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
                lost = host.lost_for_good(&plugin) => return Err(lost),
            };
            match event {
                None => break,
                Some(Event::Args(args)) => {
                    print(json_line(&Payload::new(args))?)?;
                    left -= 1;
                }
                Some(Event::Missed(events)) => {
                    let _ = writeln!(
                        std::io::stderr(),
                        "{events} events are missing: they came faster than they were read"
                    );
                }
                Some(other) => {
                    let _ = writeln!(std::io::stderr(), "{other:?}");
                }
            }
        }
        host.close().await;
        recording::finish(recorder)
    }
}
