//! Traces a program's output line by line, and keeps the last lines.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use connector_core::{Excerpt, TraceLimit};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::process::ChildEnd;

/// The number of last lines kept and the bytes of each, so that endless output needs no memory.
const LAST_LINES: usize = 20;
const LINE_BYTES: usize = 2048;
/// The number of lines traced per second, and the characters of each; the rest is counted.
const LINES_A_SECOND: u32 = 40;
const LINE_CHARS: usize = 500;
/// The number of characters of a failed program's last lines that are traced.
const LAST_CHARS: usize = 2000;

/// The last lines that a program has printed.
#[derive(Debug, Clone, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// Traces the output of one program: what it has printed, escaped and truncated, up to a number of lines per second.
#[derive(Debug, Clone)]
pub(super) struct Tracer {
    plugin: Arc<str>,
    limit: Arc<TraceLimit>,
}

impl Tracer {
    pub(super) fn new(plugin: &Arc<str>) -> Tracer {
        Tracer { plugin: Arc::clone(plugin), limit: Arc::new(TraceLimit::per_second(LINES_A_SECOND)) }
    }

    fn line(&self, output: &'static str, line: &str) {
        let Some(left_out) = self.limit.pass() else { return };
        if left_out > 0 {
            self.left_out(output, left_out);
        }
        tracing::info!(plugin = &*self.plugin, output, "{}", Excerpt::up_to(LINE_CHARS, line));
    }

    /// The program ended on its own.
    pub(super) fn ended(&self, end: &ChildEnd) {
        let (plugin, how) = (&*self.plugin, Excerpt::up_to(LINE_CHARS, end));
        match end.is_success() {
            true => tracing::debug!(plugin, end = %how, "a program ended"),
            false => {
                // The end of the last lines, which is where the reason usually is.
                let all = end.stderr.join("\n");
                let start = all.char_indices().rev().nth(LAST_CHARS - 1).map_or(0, |(at, _)| at);
                let stderr = Excerpt::up_to(LAST_CHARS, &all[start..]);
                tracing::warn!(plugin, end = %how, ?stderr, "a program ended");
            }
        }
    }

    fn left_out(&self, output: &'static str, lines: u64) {
        tracing::info!(plugin = &*self.plugin, output, lines, "lines over the limit were not traced");
    }
}

/// Reads the stream to its end. `kept` receives the last lines.
pub(super) async fn follow(
    mut stream: impl AsyncRead + Unpin,
    tracer: Tracer,
    output: &'static str,
    kept: Option<LastLines>,
) {
    let push_line = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        tracer.line(output, line);
        if let Some(kept) = &kept {
            kept.push(line);
        }
    };
    let (mut buffer, mut line) = (vec![0; 64 << 10], Vec::new());
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        // The excess of a long line is discarded.
        let add =
            |line: &mut Vec<u8>, text: &[u8]| line.extend_from_slice(&text[..text.len().min(LINE_BYTES - line.len())]);
        let mut rest = &buffer[..read];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            add(&mut line, &rest[..end]);
            push_line(&line);
            line.clear();
            rest = &rest[end + 1..];
        }
        add(&mut line, rest);
    }
    if !line.is_empty() {
        push_line(&line);
    }
    if let Some(lines) = tracer.limit.take_left_out() {
        tracer.left_out(output, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_long_ones_truncated() {
        let kept = LastLines::default();
        let mut text: String = (0..100).map(|n| format!("line {n}\r\n")).collect();
        text += &"x".repeat(1 << 20);
        text += "\nno end";
        follow(text.as_bytes(), Tracer::new(&"p".into()), "stderr", Some(kept.clone())).await;
        let lines = kept.all();
        assert_eq!((lines.len(), &*lines[0], &*lines[17]), (20, "line 82", "line 99"));
        assert_eq!((lines[18].len(), &*lines[19]), (LINE_BYTES, "no end"));
    }
}
