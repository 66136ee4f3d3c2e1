//! Plays one end of a recorded link, and compares what the other end does with the recording.

mod compare;
mod drive;
mod mock;
mod player;
mod session;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use connector_core::{ConnectError, Link, LinkEnd, Registration};
use thiserror::Error;

pub use self::compare::Difference;
use self::drive::{Timing, drive};
pub use self::mock::as_plugin;
use self::player::Player;
use self::session::{End, Session, Sessions, sessions};
use crate::recording::{Line, Recording, RecordingError};

/// The differences that a report holds.
const MAX_DIFFERENCES: usize = 1000;
/// How much longer than recorded a plugin may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Why a recording cannot be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// It has no link of that plugin.
    #[error("the recording has no link of a plugin {plugin:?}; it has links of: {}", Names(.others))]
    NoSuchPlugin {
        /// The plugin.
        plugin: String,
        /// Those that are recorded.
        others: Vec<String>,
    },
    /// It has only a part of a session.
    #[error(
        "{line}: the recording has no handshake of {plugin:?}: begin to record before the plugin is activated, and keep more files"
    )]
    NoHandshake {
        /// The plugin's first message.
        line: Line,
        /// The plugin.
        plugin: String,
    },
    /// A message was not recorded whole.
    #[error(
        "{line}: the message was not recorded whole: record with a higher limit of data, and values between threads with `values`"
    )]
    Incomplete {
        /// Where.
        line: Line,
    },
    /// A recorded message is not one.
    #[error("{line}: it is not a message: {reason}. The file was edited or damaged")]
    NotAMessage {
        /// Where.
        line: Line,
        /// Why.
        reason: String,
    },
    /// Records are missing.
    #[error(
        "{line}: {records} records are missing, because they came faster than they were written: record with a larger queue"
    )]
    Missed {
        /// Where.
        line: Line,
        /// How many.
        records: u64,
    },
}

struct Names<'a>(&'a [String]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&if self.0.is_empty() { "none".to_owned() } else { self.0.join(", ") })
    }
}

/// Plays the engine, or the plugin, of a recorded link.
///
/// Messages are sent in the recorded sequence, each as soon as the messages recorded before it have been exchanged, or at the
/// recorded time ([`speed`](Replay::speed)). What the other end sends is compared with the recording by content, without the
/// ids, which each end chooses. Messages of the other end may arrive in another sequence. Prompts and repeated handshakes are
/// answered, and not compared.
///
/// Each session, from a handshake to the end of its link, is played over its own link.
///
/// ```no_run
/// use connector_inspect::Replay;
///
/// # async fn example(calculator: connector_core::Registration) -> Result<(), Box<dyn std::error::Error>> {
/// // Does the calculator still do what it did?
/// let mut replay = Replay::engine("session.ndjson", "calculator")?;
/// // `calculator` is, for example, `transport_ws::plugin("calculator", "ws://127.0.0.1:4000")`.
/// replay.dial(calculator).await?;
/// let report = replay.finish();
/// assert!(report.differences.is_empty(), "{report}");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Replay {
    end: End,
    sessions: VecDeque<Session>,
    skipped: u64,
    playing: Option<Player>,
    speed: Option<f64>,
    timeout: Duration,
    has_secrets: bool,
    torn: Option<Line>,
    report: Report,
}

/// What a replay exchanged, and how it differed from the recording. Displays a line for each difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The number of recorded messages that were sent or arrived.
    pub exchanged: u64,
    /// The first 1,000 differences.
    pub differences: Vec<Difference>,
    /// The number of further differences.
    pub omitted: u64,
}

impl Report {
    fn add(&mut self, difference: Difference) {
        match self.differences.len() < MAX_DIFFERENCES {
            true => self.differences.push(difference),
            false => self.omitted += 1,
        }
    }

    fn append(&mut self, other: Report) {
        self.exchanged += other.exchanged;
        self.omitted += other.omitted;
        other.differences.into_iter().for_each(|difference| self.add(difference));
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.differences.iter().try_for_each(|difference| writeln!(f, "{difference}"))?;
        if self.omitted > 0 {
            writeln!(f, "and {} more", self.omitted)?;
        }
        let differences = self.differences.len() as u64 + self.omitted;
        let plural = |count| if count == 1 { "" } else { "s" };
        let (messages, more) = (plural(self.exchanged), plural(differences));
        write!(f, "{} recorded message{messages} exchanged, {differences} difference{more}", self.exchanged)
    }
}

impl Replay {
    /// Plays the engine of a plugin's links, against a real plugin.
    ///
    /// # Errors
    /// The recording cannot be read or not be replayed.
    pub fn engine(path: impl AsRef<Path>, plugin: &str) -> Result<Replay, ReplayError> {
        Replay::new(path.as_ref(), plugin, End::Engine)
    }

    /// Plays the plugin, against a real engine, whose program causes the calls.
    ///
    /// # Errors
    /// The recording cannot be read or not be replayed.
    pub fn plugin(path: impl AsRef<Path>, plugin: &str) -> Result<Replay, ReplayError> {
        Replay::new(path.as_ref(), plugin, End::Plugin)
    }

    fn new(path: &Path, plugin: &str, end: End) -> Result<Replay, ReplayError> {
        let mut recording = Recording::open(path)?;
        let Sessions { complete, skipped } = sessions(&mut recording, plugin, end)?;
        let has_secrets = !recording.header().redacted.is_empty();
        let (speed, timeout, torn) = (None, TIMEOUT, recording.torn().cloned());
        let (sessions, report) = (complete.into(), Report::default());
        Ok(Replay { end, sessions, skipped, playing: None, speed, timeout, has_secrets, torn, report })
    }

    /// Sends messages at the recorded times: 1 is as recorded, 2 twice as fast. Values that are not above 0 count as 1.
    /// Default: each is sent as soon as those before it have been exchanged.
    #[must_use]
    pub fn speed(mut self, factor: f64) -> Replay {
        self.speed = Some(if factor.is_finite() && factor >= 1e-6 { factor } else { 1.0 });
        self
    }

    /// How much longer than recorded the plugin may take for a message, if the engine is played. Default 15 s. An engine may
    /// take any time.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Replay {
        self.timeout = limit;
        self
    }

    /// The number of sessions that have not been played.
    pub fn sessions_left(&self) -> usize {
        self.sessions.len()
    }

    /// The number of the plugin's messages that are not played, because the recording began during their session.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The last line of the recording, if it was not written completely and is left out.
    pub fn torn(&self) -> Option<&Line> {
        self.torn.as_ref()
    }

    /// Plays the next session over a link: until the link ends, or, as the engine, until all its messages have been
    /// exchanged, and then closes the link. Does nothing if there are no more sessions.
    ///
    /// Dropping the future ends the session; the [report](Replay::finish) then says what was left.
    pub async fn play(&mut self, mut link: Box<dyn Link>) {
        self.end_session(None);
        let Some(steps) = self.sessions.pop_front() else { return };
        let began = steps.first().map_or(0, |step| step.at);
        let timeout = (self.end == End::Engine).then_some(self.timeout);
        let timing = Timing { speed: self.speed, timeout, began };
        let player = self.playing.insert(Player::new(self.end, steps, self.has_secrets));
        let end = drive(&mut *link, player, timing).await;
        self.end_session(end.as_ref());
    }

    fn end_session(&mut self, end: Option<&LinkEnd>) {
        if let Some(player) = self.playing.take() {
            self.report.append(player.end(end));
        }
    }

    /// Plays all sessions, each over a link that the registration's connector makes.
    ///
    /// # Errors
    /// The plugin is unreachable, or has no single link: it is one of this process, or has replicas.
    pub async fn dial(&mut self, plugin: Registration) -> Result<(), ConnectError> {
        let Some((mut connector, url)) = plugin.into_connector() else {
            let text = "a plugin in this process, or one with replicas, has no single link to replay over";
            return Err(ConnectError::failed(text));
        };
        connector.activated();
        while self.sessions_left() > 0 {
            let link = connector.connect(&url).await?;
            self.play(link).await;
        }
        Ok(())
    }

    /// Ends the replay. Sessions that were not played are left out of the report.
    pub fn finish(mut self) -> Report {
        self.end_session(None);
        self.report
    }
}

#[cfg(test)]
mod tests;
