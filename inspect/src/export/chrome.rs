//! Chrome's trace events, as JSON.

use std::collections::HashMap;
use std::io::{self, Write};

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ExportError;
use crate::record::{Kind, Outcome, Record};
use crate::recording::Recording;
use crate::text::plugin_of;

/// The line of a process that has its events; calls have the others.
const EVENTS: usize = 0;

/// A plugin is a process, and each of its concurrent calls a thread: overlapping spans of one thread are drawn wrong. A call
/// is a span of its caller, while it is pending, and one of its target, while it runs, with an arrow between them.
pub(super) fn write(recording: &mut Recording, out: &mut impl Write) -> Result<(), ExportError> {
    let began = recording.header().began;
    let mut trace = Trace { out, is_first: true, plugins: IndexMap::new(), calls: HashMap::new(), last: 0 };
    write!(
        trace.out,
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"beganMicroseconds\":{began}}},\"traceEvents\":["
    )?;
    for entry in recording {
        let (_, record) = entry?;
        trace.last = trace.last.max(record.at);
        trace.record(record)?;
    }
    trace.end()
}

struct Trace<'a, W> {
    out: &'a mut W,
    is_first: bool,
    plugins: IndexMap<Box<str>, Lanes>,
    calls: HashMap<u64, Call>,
    /// The time of the last record.
    last: u64,
}

/// The threads of a plugin.
#[derive(Default)]
struct Lanes(Vec<Lane>);

#[derive(Default)]
struct Lane {
    is_used: bool,
    ended: u64,
}

/// A call that has not ended.
struct Call {
    queued: Record,
    client: Span,
    server: Option<Span>,
}

/// The place and the beginning of a span.
#[derive(Clone, Copy)]
struct Span {
    process: usize,
    lane: usize,
    from: u64,
}

#[derive(Serialize)]
struct Event<'a, A: Serialize> {
    name: &'a str,
    cat: &'a str,
    ph: &'a str,
    pid: usize,
    tid: usize,
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// Of an instant: how high it is drawn. Of the end of a flow: the span around it is meant.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
    args: A,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    S(&'static str),
    Bp(&'static str),
}

#[derive(Serialize)]
struct CallArgs<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<&'a RawValue>,
    /// The result, or the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listeners: Option<usize>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

impl<W: Write> Trace<'_, W> {
    fn record(&mut self, record: Record) -> Result<(), ExportError> {
        let at = record.at;
        match record.kind {
            Kind::CallQueued => {
                let Some(number) = record.call else { return Ok(()) };
                let client = self.begin(record.from.as_deref().unwrap_or_default(), at)?;
                self.calls.insert(number, Call { queued: record, client, server: None });
            }
            Kind::CallStarted => {
                let target = record.to.as_deref().unwrap_or_default();
                if record.call.is_some_and(|number| self.calls.contains_key(&number)) {
                    let server = self.begin(plugin_of(target), at)?;
                    if let Some(call) = record.call.and_then(|number| self.calls.get_mut(&number)) {
                        call.server = Some(server);
                    }
                }
            }
            Kind::CallEnded => {
                if let Some(call) = record.call.and_then(|number| self.calls.remove(&number)) {
                    self.call(call, Some(&record), at)?;
                }
            }
            Kind::Event => {
                let name = record.key.as_deref().unwrap_or_default();
                self.instant(record.from.as_deref(), name, "event", at, &record)?;
            }
            Kind::Link => {
                let name = format!("link {}", record.text.as_deref().unwrap_or_default());
                self.instant(record.plugin.as_deref(), &name, "link", at, &record)?;
            }
            Kind::BadFrame => {
                let name = record.text.as_deref().unwrap_or_default();
                self.instant(record.plugin.as_deref(), name, "bad frame", at, &record)?;
            }
            Kind::Missed => {
                let name = format!("{} records are missing", record.missed.unwrap_or_default());
                self.instant(None, &name, "missed", at, &record)?;
            }
            Kind::Message | Kind::Unknown => {}
        }
        Ok(())
    }

    /// Ends what is still under way, and the file.
    fn end(&mut self) -> Result<(), ExportError> {
        let mut calls: Vec<(u64, Call)> = self.calls.drain().collect();
        calls.sort_by_key(|(number, _)| *number);
        for (_, call) in calls {
            self.call(call, None, self.last)?;
        }
        Ok(self.out.write_all(b"\n]}\n")?)
    }

    fn call(&mut self, call: Call, ended: Option<&Record>, at: u64) -> Result<(), ExportError> {
        let Call { queued, client, server } = call;
        let (to, key) = (queued.to.as_deref(), queued.key.as_deref().unwrap_or_default());
        let args = || CallArgs {
            from: queued.from.as_deref(),
            to,
            outcome: ended.and_then(|record| record.outcome),
            args: queued.data.as_deref(),
            result: ended.and_then(|record| record.data.as_deref()),
        };
        let name = format!("{}.{key}", to.unwrap_or_default());
        self.span(&name, "call", client, at, args())?;
        if let Some(server) = server {
            self.span(key, "method", server, at, args())?;
            for (ph, Span { process, lane, from }, scope) in [("s", client, None), ("f", server, Some(Scope::Bp("e")))]
            {
                let (id, args) = (queued.call, Named { name: &name });
                self.event(&Event {
                    name: "call",
                    cat: "call",
                    ph,
                    pid: process,
                    tid: lane,
                    ts: from,
                    dur: None,
                    id,
                    scope,
                    args,
                })?;
            }
        }
        Ok(())
    }

    fn span(&mut self, name: &str, cat: &str, span: Span, at: u64, args: impl Serialize) -> io::Result<()> {
        let Span { process, lane, from } = span;
        let end = at.max(from);
        if let Some(lane) = self.plugins.get_index_mut(process - 1).and_then(|(_, lanes)| lanes.0.get_mut(lane - 1)) {
            *lane = Lane { is_used: false, ended: end };
        }
        let dur = Some(end - from);
        self.event(&Event { name, cat, ph: "X", pid: process, tid: lane, ts: from, dur, id: None, scope: None, args })
    }

    fn instant(&mut self, plugin: Option<&str>, name: &str, cat: &str, at: u64, record: &Record) -> io::Result<()> {
        let pid = self.process(plugin.unwrap_or("engine"))?;
        let args = Data { data: record.data.as_deref(), listeners: record.listeners };
        let scope = Some(Scope::S("p"));
        self.event(&Event { name, cat, ph: "i", pid, tid: EVENTS, ts: at, dur: None, id: None, scope, args })
    }

    /// Begins a span on a thread of a plugin that has none.
    fn begin(&mut self, plugin: &str, at: u64) -> io::Result<Span> {
        let process = self.process(plugin)?;
        let Some((_, Lanes(lanes))) = self.plugins.get_index_mut(process - 1) else {
            return Err(io::Error::other("a process that does not exist"));
        };
        let free = lanes.iter().position(|lane| !lane.is_used);
        let index = free.unwrap_or_else(|| {
            lanes.push(Lane::default());
            lanes.len() - 1
        });
        lanes[index].is_used = true;
        // Two records may be a microsecond out of sequence.
        let from = at.max(lanes[index].ended);
        let lane = index + 1;
        if free.is_none() {
            self.name(process, lane, "thread_name", &format!("call {lane}"))?;
        }
        Ok(Span { process, lane, from })
    }

    /// The number of a plugin's process, from 1.
    fn process(&mut self, plugin: &str) -> io::Result<usize> {
        if let Some(index) = self.plugins.get_index_of(plugin) {
            return Ok(index + 1);
        }
        self.plugins.insert(plugin.into(), Lanes::default());
        let process = self.plugins.len();
        self.name(process, EVENTS, "process_name", plugin)?;
        self.name(process, EVENTS, "thread_name", "events")?;
        Ok(process)
    }

    fn name(&mut self, pid: usize, tid: usize, what: &str, name: &str) -> io::Result<()> {
        let args = Named { name };
        self.event(&Event { name: what, cat: "", ph: "M", pid, tid, ts: 0, dur: None, id: None, scope: None, args })
    }

    fn event(&mut self, event: &Event<'_, impl Serialize>) -> io::Result<()> {
        self.out.write_all(if std::mem::take(&mut self.is_first) { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *self.out, event).map_err(io::Error::from)
    }
}
