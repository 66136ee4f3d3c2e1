//! What a program prints: traced line by line, and the last lines kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

/// So many last lines are kept, and so many bytes of each: a program that prints without end costs no memory.
const LAST_LINES: usize = 20;
const LINE_BYTES: usize = 2048;

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

/// Reads to the end; ends with the stream. `kept` gets the last lines, if they are of interest.
pub(super) async fn follow(mut stream: impl AsyncRead + Unpin, name: &'static str, kept: Option<LastLines>) {
    let told = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        tracing::info!(output = name, "{line}");
        if let Some(kept) = &kept {
            kept.push(line);
        }
    };
    let (mut buffer, mut line) = (vec![0; 16 << 10], Vec::new());
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        for piece in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            // What is too long is cut off, not kept for later.
            line.extend_from_slice(&text[..text.len().min(LINE_BYTES - line.len())]);
            if text.len() < piece.len() {
                told(&line);
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        told(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_long_ones_cut() {
        let kept = LastLines::default();
        let mut text: String = (0..100).map(|n| format!("line {n}\r\n")).collect();
        text += &"x".repeat(1 << 20);
        text += "\nno end";
        follow(text.as_bytes(), "stderr", Some(kept.clone())).await;
        let lines = kept.all();
        assert_eq!((lines.len(), &*lines[0], &*lines[17]), (20, "line 82", "line 99"));
        assert_eq!((lines[18].len(), &*lines[19]), (LINE_BYTES, "no end"));
    }
}
