//! HAR 1.2, with Chrome's members for the messages of websockets.

use std::io::{self, Write};

use indexmap::IndexMap;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{ExportError, text};
use crate::record::{Direction, Kind};
use crate::recording::{Header, Recording};

/// The messages of one plugin, or of one of its replicas.
#[derive(Default)]
struct Socket {
    first: u64,
    last: u64,
    messages: Vec<Value>,
}

pub(super) fn write(recording: &mut Recording, out: &mut impl Write) -> Result<(), ExportError> {
    let header = recording.header().clone();
    let mut sockets = IndexMap::<(Box<str>, Option<Box<str>>), Socket>::new();
    for entry in recording {
        let (_, record) = entry?;
        if let (Kind::Message, Some(plugin), Some(direction)) = (record.kind, &record.plugin, record.direction) {
            let message = json!({
                "type": match direction { Direction::ToPlugin => "send", Direction::FromPlugin => "receive" },
                "time": seconds(&header, record.at),
                "opcode": 1,
                "data": text(&record),
            });
            let new = || Socket { first: record.at, ..Socket::default() };
            let socket = sockets.entry((plugin.clone(), record.replica.clone())).or_insert_with(new);
            socket.last = record.at;
            socket.messages.push(message);
        }
    }
    let entries: Vec<Value> = sockets
        .into_iter()
        .map(|((plugin, replica), socket)| entry(&header, &plugin, replica.as_deref(), socket))
        .collect();
    let log = json!({ "log": {
        "version": "1.2",
        "creator": { "name": "connector", "version": header.engine },
        "pages": [],
        "entries": entries,
    } });
    Ok(serde_json::to_writer(out, &log).map_err(io::Error::from)?)
}

/// A link as the request that opened a websocket. The engine is the client.
fn entry(header: &Header, plugin: &str, replica: Option<&str>, socket: Socket) -> Value {
    let path = [Some(plugin), replica]
        .into_iter()
        .flatten()
        .map(|name| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
    let url = format!("ws://plugins/{}", path.collect::<Vec<_>>().join("/"));
    let milliseconds = socket.last.saturating_sub(socket.first) as f64 / 1e3;
    let size = socket.messages.iter().filter_map(|message| message["data"].as_str()).map(str::len).sum::<usize>();
    json!({
        "startedDateTime": date(header, socket.first),
        "time": milliseconds,
        "_resourceType": "websocket",
        "_webSocketMessages": socket.messages,
        "request": {
            "method": "GET",
            "url": url,
            "httpVersion": "HTTP/1.1",
            "cookies": [], "headers": [], "queryString": [], "headersSize": -1, "bodySize": -1,
        },
        "response": {
            "status": 101,
            "statusText": "Switching Protocols",
            "httpVersion": "HTTP/1.1",
            "cookies": [], "headers": [], "redirectURL": "", "headersSize": -1, "bodySize": -1,
            "content": { "size": size, "mimeType": "application/json" },
        },
        "cache": {},
        "timings": { "send": 0, "wait": 0, "receive": milliseconds },
    })
}

/// In microseconds since 1970.
fn micros(header: &Header, at: u64) -> u64 {
    header.began.saturating_add(at)
}

fn seconds(header: &Header, at: u64) -> f64 {
    micros(header, at) as f64 / 1e6
}

fn date(header: &Header, at: u64) -> String {
    // The year is beyond 9999 only in an edited file.
    let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros(header, at)) * 1000).ok();
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}
