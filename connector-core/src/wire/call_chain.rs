//! The chain of work that a request is made for, from engine to engine.

use super::DecodeError;
use super::json::{self, Reader};

/// The work that a request to a lent plugin is made for: what runs in each engine that the work has passed through, and how
/// often it has passed from one engine to another (docs/protocol.md, section 6.8).
///
/// An engine recognizes only the runs that it has added itself; to any other they are opaque.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallChain {
    hops: u32,
    /// The oldest first.
    runs: Vec<Box<str>>,
}

impl CallChain {
    /// The most runs that a chain has. Beyond it, the oldest are left out.
    pub const MAX_RUNS: usize = 64;
    /// The most bytes that its runs have together. Beyond it, the oldest are left out.
    pub const MAX_BYTES: usize = 16 << 10;

    /// How often the work has passed from one engine to another.
    pub fn hops(&self) -> u32 {
        self.hops
    }

    /// What runs for it, the oldest first: `engine/plugin#`, and a number that only that engine knows.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.runs.iter().map(|run| &**run)
    }

    /// The chain of what passes to another engine for `run`.
    pub(crate) fn extended(mut self, run: String) -> CallChain {
        self.hops = self.hops.saturating_add(1);
        self.runs.push(run.into());
        let mut bytes: usize = self.bytes();
        let excess = |runs: usize, bytes: usize| runs > Self::MAX_RUNS || bytes > Self::MAX_BYTES;
        let mut left_out = 0;
        while excess(self.runs.len() - left_out, bytes) && left_out + 1 < self.runs.len() {
            bytes -= self.runs[left_out].len();
            left_out += 1;
        }
        self.runs.drain(..left_out);
        self
    }

    /// A chain of runs for a message other than a request.
    pub(crate) fn of_runs(runs: Vec<Box<str>>) -> CallChain {
        CallChain { hops: 0, runs }
    }

    /// The work is also made for another that has passed from engine to engine this often.
    pub(crate) fn at_least(&mut self, hops: u32) {
        self.hops = self.hops.max(hops);
    }

    /// Another run waits for the work.
    pub(crate) fn add(&mut self, run: &str) {
        let has_room = self.runs.len() < Self::MAX_RUNS && self.bytes() + run.len() <= Self::MAX_BYTES;
        if has_room && !self.runs.iter().any(|known| **known == *run) {
            self.runs.push(run.into());
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// `None` if it is not a chain, or exceeds its bounds.
    pub(super) fn read(json: &mut Reader<'_>) -> Result<Option<CallChain>, DecodeError> {
        if !json.at_object() {
            return json.skip().map(|()| None);
        }
        let (mut hops, mut runs) = (None, None);
        json.object(|member, json| {
            match member {
                "hops" => hops = serde_json::from_str(json.raw()?).ok(),
                "runs" => runs = read_runs(json.raw()?),
                _ => json.skip()?,
            }
            Ok(())
        })?;
        let chain = hops.zip(runs).map(|(hops, runs)| CallChain { hops, runs });
        Ok(chain.filter(|chain| {
            (1..=CallChain::MAX_RUNS).contains(&chain.runs.len()) && chain.bytes() <= CallChain::MAX_BYTES
        }))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"callChain\":{\"hops\":");
        out.extend_from_slice(self.hops.to_string().as_bytes());
        out.extend_from_slice(b",\"runs\":");
        for (at, run) in self.runs.iter().enumerate() {
            out.push(if at == 0 { b'[' } else { b',' });
            json::write_str(out, run);
        }
        out.extend_from_slice(b"]}");
    }
}

fn read_runs(json: &str) -> Option<Vec<Box<str>>> {
    // A byte may be written as an escape of six.
    (json.len() <= 8 * CallChain::MAX_BYTES).then(|| serde_json::from_str(json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(chain: &Value) -> Option<CallChain> {
        let text = chain.to_string();
        CallChain::read(&mut Reader::new(&text)).unwrap()
    }

    #[test]
    fn what_is_no_chain_is_ignored() {
        let runs = |number: usize, length: usize| vec!["x".repeat(length); number];
        for (chain, is_read) in [
            (json!({"hops": 1, "runs": ["a/x#1"]}), true),
            (json!({"hops": 1, "runs": ["a/x#1"], "later": [{}]}), true),
            (json!({"hops": 1, "runs": runs(64, 256)}), true),
            (json!({"hops": 1, "runs": runs(64, 257)}), false),
            (json!({"hops": 1, "runs": runs(65, 1)}), false),
            (json!({"hops": 1, "runs": runs(1, 16 * 1024 + 1)}), false),
            (json!({"hops": 1, "runs": runs(1_000_000, 1)}), false),
            (json!({"hops": 1, "runs": []}), false),
            (json!({"hops": -1, "runs": ["a/x#1"]}), false),
            (json!({"hops": "1", "runs": ["a/x#1"]}), false),
            (json!({"hops": 1, "runs": [5]}), false),
            (json!({"hops": 1}), false),
            (json!(["a/x#1"]), false),
            (json!("a/x#1"), false),
            (json!(null), false),
        ] {
            let text = chain.to_string();
            assert_eq!(read(&chain).is_some(), is_read, "{}", &text[..text.len().min(100)]);
        }
    }

    #[test]
    fn a_chain_stays_within_its_bounds() {
        for length in [1, 1000, CallChain::MAX_BYTES + 1] {
            let mut chain = CallChain::default();
            for n in 0..100 {
                chain = chain.extended(format!("{n}{}", "x".repeat(length)));
                assert!(chain.runs.len() <= CallChain::MAX_RUNS);
                assert!(chain.bytes() <= CallChain::MAX_BYTES || chain.runs.len() == 1);
                assert!(chain.runs[chain.runs.len() - 1].starts_with(&n.to_string()), "the newest stays");
            }
            assert_eq!(chain.hops(), 100);
        }
        let mut chain = CallChain::default();
        (0..100).chain(0..100).for_each(|n| chain.add(&n.to_string()));
        assert_eq!(chain.runs.len(), CallChain::MAX_RUNS);
    }
}
