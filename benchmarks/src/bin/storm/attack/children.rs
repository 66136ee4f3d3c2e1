//! Child processes as plugins, and what others do to them.

use std::time::Duration;

use tokio::time::{sleep, sleep_until, timeout_at};

use super::raw::{Socket, request};
use super::verdict::Side::Peer;
use super::victim::Kind::Engine;
use super::{Case, FOUND, Result, Target};

const PYTHON_PLUGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/plugin.py");

pub(super) const CASES: &[Case] = &[
    Case::new("child-yes", Engine, Peer, 1, &nothing).about("a child process that prints `yes`").child(&["yes"]),
    Case::new("child-flood", Engine, Peer, 0, &child_flood)
        .about("a child process on Node's channel that emits at full speed, beside a steady listener")
        .child(&["node", "-e", FLOODING_CHILD]),
    Case::new("worker-flood", Engine, Peer, 0, &worker_flood).about("the same by a plugin in a thread"),
    Case::new("secrets", Engine, Peer, 4, &secrets)
        .about("a plugin asks for what the host knows of others: URLs with tokens, a child's standard error")
        .child(&["sh", "-c", "echo password=s3cret >&2; exit 3"]),
    Case::new("nested", Engine, Peer, 5, &nested)
        .about("100,000 nested brackets, 5 times, relayed to a plugin in Python that another plugin calls")
        .calls("child", "add")
        .child(&["python3", PYTHON_PLUGIN]),
];

/// Answers the handshake, and floods once it is called.
const FLOODING_CHILD: &str = r#"
    const event = { action: 'emit', key: 'tick', payload: [1] }
    const flood = () => {
        for (let n = 0; n < 1000; n++) process.send(event)
        process.send(event, flood)
    }
    process.on('message', ({ id, name, key }) => {
        if (key === 'handshake') process.send({ action: 'response', id, name, key, payload: ['flood'] })
        if (key === 'flood') flood()
    })
"#;

async fn child_flood(target: Target) -> Result<Socket> {
    flood(target, "child").await
}

async fn worker_flood(target: Target) -> Result<Socket> {
    flood(target, "thread").await
}

/// Starts a plugin of the victim that floods until the victim ends.
async fn flood(mut target: Target, plugin: &str) -> Result<Socket> {
    let mut link = target.link()?;
    link.send(request(0, plugin, "flood", "[]")).await?;
    target.count();
    sleep_until(target.until).await;
    Ok(link)
}

/// No answer may contain what is secret of the child or of the plugin that cannot be reached: see the victim.
async fn secrets(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    let requests = [
        ("manager", "getProfile", r#"["unreachable"]"#),
        ("unreachable", "m", "[]"),
        ("manager", "activatePlugin", r#"["unreachable"]"#),
        ("manager", "activatePlugin", r#"["child"]"#),
    ];
    for (n, (name, key, payload)) in requests.into_iter().enumerate() {
        link.send(request(n, name, key, payload)).await?;
        let answer = link.receive().await?;
        if answer.contains("s3cret") {
            return Err(format!("{FOUND}{answer}"));
        }
        target.count();
    }
    Ok(link)
}

/// The child attacks.
pub(super) async fn nothing(target: Target) -> Result<()> {
    target.count();
    Ok(())
}

async fn nested(mut target: Target) -> Result<Socket> {
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
    Ok(link)
}
