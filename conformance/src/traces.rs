//! Records tracing events, for tests.

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::runtime::lock;

/// With a single subscriber in the process, tracing asks only the current thread's whether an event is of interest, and
/// remembers the answer: an event that a thread without a subscriber emits first would be lost for this one.
static ANOTHER_SUBSCRIBER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// Records every event of this thread, up to the level `max`, until the result is dropped.
pub fn traces(max: Level) -> Traces {
    LazyLock::force(&ANOTHER_SUBSCRIBER);
    let lines = Lines { max, lines: Arc::default() };
    let guard = tracing::subscriber::set_default(lines.clone());
    Traces { lines: lines.lines, _guard: guard }
}

/// The recorded events: see [`traces`].
#[derive(Debug)]
pub struct Traces {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl Traces {
    /// One line of text for each event, `message=… field=… `, and for the fields of each span.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// The lines that contain `part`.
    pub fn containing(&self, part: &str) -> Vec<String> {
        lock(&self.lines).iter().filter(|line| line.contains(part)).cloned().collect()
    }

    /// Forgets the lines so far.
    pub fn clear(&self) {
        lock(&self.lines).clear();
    }
}

#[derive(Clone)]
struct Lines {
    max: Level,
    lines: Arc<Mutex<Vec<String>>>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Lines {
    fn push(&self, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(String::new());
        record(&mut fields);
        lock(&self.lines).push(fields.0);
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.max
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.push(|fields| span.record(fields));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.push(|fields| values.record(fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.push(|fields| event.record(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
