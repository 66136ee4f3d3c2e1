//! Traces a program's output line by line, and keeps the last lines.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// The number of last lines kept and the bytes of each, so that endless output needs no memory.
const LAST_LINES: usize = 20;
const LINE_BYTES: usize = 2048;
/// The number of lines traced per second; further lines are counted.
const LINES_A_SECOND: u32 = 100;

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

/// Traces the output of one program, with a rate limit.
struct Tracer {
    plugin: Arc<str>,
    output: &'static str,
    second: Instant,
    lines: u32,
    left_out: u64,
}

impl Tracer {
    fn line(&mut self, line: &str) {
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.trace_left_out();
            (self.second, self.lines) = (Instant::now(), 0);
        }
        if self.lines >= LINES_A_SECOND {
            self.left_out += 1;
            return;
        }
        self.lines += 1;
        tracing::info!(plugin = &*self.plugin, output = self.output, "{}", Printable(line));
    }

    fn trace_left_out(&mut self) {
        let lines = std::mem::take(&mut self.left_out);
        if lines > 0 {
            tracing::info!(plugin = &*self.plugin, output = self.output, lines, "lines over the limit were not traced");
        }
    }
}

/// Text with its control characters escaped.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() && c != '\t' {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

/// Reads the stream to its end. `kept` receives the last lines.
pub(super) async fn follow(
    mut stream: impl AsyncRead + Unpin,
    plugin: Arc<str>,
    output: &'static str,
    kept: Option<LastLines>,
) {
    let mut tracer = Tracer { plugin, output, second: Instant::now(), lines: 0, left_out: 0 };
    let mut push_line = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        tracer.line(line);
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
    tracer.trace_left_out();
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
        follow(text.as_bytes(), "p".into(), "stderr", Some(kept.clone())).await;
        let lines = kept.all();
        assert_eq!((lines.len(), &*lines[0], &*lines[17]), (20, "line 82", "line 99"));
        assert_eq!((lines[18].len(), &*lines[19]), (LINE_BYTES, "no end"));
    }
}
