//! `connector ping`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use connector_core::{Action, Direction, Id, Interests, Observation, Observer};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::failure::{Failure, lines};
use crate::host::{Host, Plugins, seconds};
use crate::output::{line, print};

/// Measures the round trip to each plugin.
///
/// A round trip is a handshake that the engine repeats after a silence of the plugin. Each plugin answers it, without any other
/// effect. A plugin that runs a method on its only thread answers when the method has ended.
#[derive(Args)]
pub(crate) struct Ping {
    /// Round trips to each plugin.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// The silence before each, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "0.25", value_parser = seconds)]
    interval: Duration,
    #[command(flatten)]
    plugins: Plugins,
}

impl Ping {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let Ping { count, interval, plugins } = self;
        let host = Host::with_options(plugins, |options| options.health_interval(interval)).await?;
        // Room for those of a moment; what does not fit is measured again.
        let (sender, mut round_trips) = mpsc::channel(1024);
        let activated = host.activate_all().await;
        let observing = host.engine.observe(Stopwatch { sent: Mutex::default(), round_trips: sender });
        let mut results: Vec<_> =
            activated.into_iter().map(|(name, activated)| (name, activated.map(|()| Vec::new()))).collect();
        // The engine probes a plugin up to a quarter of the interval late.
        let limit = interval.saturating_mul(2).saturating_mul(count).saturating_add(host.timeout);
        let measured = tokio::time::timeout(limit, async {
            while results.iter().any(|(_, times)| times.as_ref().is_ok_and(|times| times.len() < count as usize)) {
                let Some((plugin, time)) = round_trips.recv().await else { break };
                let times = results.iter_mut().find(|(name, _)| *name == plugin);
                if let Some((name, Ok(times))) = times
                    && times.len() < count as usize
                {
                    times.push(time);
                    if !json {
                        print(format_args!("{}: {} ms", line(name), millis(time)))?;
                    }
                }
            }
            Ok(())
        });
        let measured = measured.await.unwrap_or(Ok(()));
        drop(observing);
        let summary = measured.and_then(|()| summarize(&results, count, json));
        host.close().await;
        summary
    }
}

/// Prints what was measured of each plugin.
fn summarize(results: &[(&str, Result<Vec<Duration>, Failure>)], count: u32, json: bool) -> Result<(), Failure> {
    let (mut rows, mut failed) = (Vec::new(), None);
    for (name, times) in results {
        let missing = |times: &Vec<Duration>| {
            let text = format!(
                "{} of {count} round trips: it does not answer, or sends so often that the engine does not probe it (choose a \
                 shorter --interval)",
                times.len()
            );
            Failure::late(text)
        };
        let (row, text) = match times {
            Err(failure) => {
                failed = Some(failure.clone());
                (json!({ "name": name, "error": failure.text() }), format!("error: {}", lines(&failure.text())))
            }
            Ok(times) if times.len() < count as usize => {
                let failure = missing(times);
                let text = failure.text();
                failed = Some(failure);
                (json!({ "name": name, "error": text }), format!("error: {text}"))
            }
            Ok(times) => statistics(name, times),
        };
        match json {
            true => rows.push(row),
            false => print(format_args!("{}: {text}", line(name)))?,
        }
    }
    if json {
        print(line(&Value::Array(rows).to_string()))?;
    }
    // What failed has been printed.
    failed.map_or(Ok(()), |failure| Err(failure.silent()))
}

fn statistics(name: &str, times: &[Duration]) -> (Value, String) {
    let sum: Duration = times.iter().sum();
    let average = millis(sum / u32::try_from(times.len()).unwrap_or(u32::MAX).max(1));
    let min = millis(times.iter().min().copied().unwrap_or_default());
    let max = millis(times.iter().max().copied().unwrap_or_default());
    let row = json!({ "name": name, "roundTrips": times.len(), "minMs": min, "averageMs": average, "maxMs": max });
    (row, format!("{} round trips, minimum {min} ms, average {average} ms, maximum {max} ms", times.len()))
}

/// In milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Measures the time from each handshake to its answer.
struct Stopwatch {
    /// The last handshake to each plugin, or to each of its replicas.
    sent: Mutex<HashMap<Place, (Option<Id>, Instant)>>,
    round_trips: mpsc::Sender<(String, Duration)>,
}

/// The names of a plugin and of its replica, if it has any.
type Place = (String, Option<String>);

impl Observer for Stopwatch {
    fn interests(&self) -> Interests {
        Interests::MESSAGES
    }

    fn observe(&self, observation: &Observation<'_>) {
        let Observation::Message { plugin, replica, direction, message, .. } = observation else { return };
        let place = || ((*plugin).to_owned(), replica.map(str::to_owned));
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        match direction {
            Direction::ToPlugin if message.action == Action::Request && message.key.as_deref() == Some("handshake") => {
                sent.insert(place(), (message.id.clone(), Instant::now()));
            }
            Direction::FromPlugin if message.action == Action::Response => {
                let answered = sent.get(&place()).filter(|(id, _)| *id == message.id).map(|(_, at)| at.elapsed());
                if let Some(time) = answered {
                    sent.remove(&place());
                    let _ = self.round_trips.try_send(((*plugin).to_owned(), time));
                }
            }
            _ => {}
        }
    }
}
