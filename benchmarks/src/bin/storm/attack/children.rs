//! Child processes as plugins, and what others do to them.

use std::time::Duration;

use tokio::time::{sleep, timeout_at};

use super::raw::request;
use super::verdict::Side::Peer;
use super::victim::Kind::Engine;
use super::{Attack, Case, Target};

const PYTHON_PLUGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/plugin.py");

pub(super) const CASES: &[Case] = &[
    Case::new("child-yes", Engine, Peer, 1, nothing).about("a child process that prints `yes`").child(&["yes"]),
    Case::new("nested", Engine, Peer, 5, nested)
        .about("100,000 nested brackets, 5 times, relayed to a plugin in Python that another plugin calls")
        .calls("child", "add")
        .child(&["python3", PYTHON_PLUGIN]),
];

/// The child attacks.
fn nothing(target: Target) -> Attack {
    Box::pin(async move {
        target.count();
        Ok(Box::new(()) as _)
    })
}

fn nested(mut target: Target) -> Attack {
    Box::pin(async move {
        let mut link = target.link()?;
        const DEPTH: usize = 100_000;
        let nested = format!("[{}{},1]", "[".repeat(DEPTH), "]".repeat(DEPTH));
        for n in 0..target.n {
            link.send(request(n, "child", "add", &nested)).await?;
            target.count();
            // An answer of either kind, or the call's time-out.
            if let Ok(answer) = timeout_at(target.until, link.receive()).await {
                drop(answer?);
            }
        }
        sleep(Duration::from_millis(500)).await;
        Ok(Box::new(link) as _)
    })
}
