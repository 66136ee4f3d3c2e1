//! A storm on child processes: each is started as a plugin, called, and killed, deactivated or dropped with its engine at
//! a random moment. Every call must end, and nothing may be left behind: no process, no descriptor, no socket file.

use std::future::Future;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use conformance::local;
use connector_core::{ActivateError, CallError, Engine, PluginClient, PluginOptions};
use examples::{Done, report};
use fastrand::Rng;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use transport_ipc::{ChannelKind, Program};

use crate::processes::{self, Left};
use crate::{Channels, ChildrenArgs};

/// Anything that takes longer hangs. No call's work takes longer than [`WORK`].
const LIMIT: Duration = Duration::from_secs(30);
const WORK: u64 = 40;
/// The first rounds open the runtime's permanent descriptors.
const WARM_UP: usize = 10;

pub(crate) async fn storm(args: ChildrenArgs) -> Done {
    let plugin = plugin()?;
    let channels = match args.channel {
        Channels::Stdio => &[("stdio", ChannelKind::Stdio)][..],
        Channels::Node => &[("node", ChannelKind::Node)],
        Channels::Local => &[("local", ChannelKind::Local)],
        Channels::All => &[("stdio", ChannelKind::Stdio), ("node", ChannelKind::Node), ("local", ChannelKind::Local)],
    };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut rng = Rng::with_seed(seed);
    let mut table = crate::table([
        "channel",
        "activations",
        "killed",
        "deactivated",
        "dropped",
        "results",
        "link lost",
        "other",
        "hangs",
        "zombies",
        "strays",
        "descriptors",
        "socket files",
        "seconds",
    ]);
    let mut harmed = false;
    for &(name, channel) in channels {
        let began = Instant::now();
        let mut tally = Tally::default();
        for _ in 0..WARM_UP {
            one(&plugin, channel, &mut rng, &mut Tally::default()).await?;
        }
        let before = processes::descriptors();
        for round in 0..args.times {
            one(&plugin, channel, &mut rng, &mut tally).await?;
            if (round + 1) % 100 == 0 {
                progress(format_args!("{name}: {} of {}", round + 1, args.times));
            }
        }
        until(|| processes::descriptors() <= before).await;
        let (after, files) = (processes::descriptors(), processes::socket_files());
        harmed |= tally.hangs + tally.left.zombies + tally.left.strays + tally.unexpected + files > 0 || after > before;
        let Tally { activations, killed, deactivated, dropped, results, lost, other, hangs, left, .. } = tally;
        let numbers =
            [activations, killed, deactivated, dropped, results, lost, other, hangs, left.zombies, left.strays];
        let numbers = numbers.map(|number| number.to_string()).into_iter();
        let last = [format!("{before} → {after}"), files.to_string(), format!("{:.1}", began.elapsed().as_secs_f64())];
        table.add_row([name.to_owned()].into_iter().chain(numbers).chain(last));
    }
    report(format_args!("{table}\nseed {seed}"));
    match harmed {
        false => Ok(()),
        true => Err("a fault affected more than its target".into()),
    }
}

/// The results of one channel's rounds.
#[derive(Default)]
struct Tally {
    activations: usize,
    killed: usize,
    deactivated: usize,
    dropped: usize,
    /// Calls that ended with their result, as link lost, or otherwise.
    results: usize,
    lost: usize,
    other: usize,
    /// Operations that did not end in time.
    hangs: usize,
    /// Failures that no fault explains.
    unexpected: usize,
    left: Left,
}

/// The program under test.
pub(crate) fn plugin() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let name = format!("ipc-plugin{}", std::env::consts::EXE_SUFFIX);
    let plugin = std::env::current_exe()?.with_file_name(name);
    match plugin.exists() {
        true => Ok(plugin),
        false => {
            let build = "build it with `cargo build -p examples --bin ipc-plugin`, in the same profile";
            Err(format!("{} does not exist: {build}", plugin.display()).into())
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Deactivate,
    Drop,
}

/// Runs one process from its start to its end.
async fn one(plugin: &Path, channel: ChannelKind, rng: &mut Rng, tally: &mut Tally) -> Done {
    let engine = Engine::new();
    let caller = engine.register(local())?;
    engine.manager().activate("local").await?;
    let program = Program::new(plugin).channel(channel).env(processes::MARK, processes::mark());
    let options = PluginOptions::default().concurrency(8);
    engine.register(transport_ipc::child("probe", program).options(options))?;

    let state = engine.link_state("probe").ok_or("it is registered but has no link")?;
    let manager = engine.manager();
    let mut activation = tokio::spawn(async move { manager.activate("probe").await });
    let calls = calls(&caller, rng);
    let mut activated = None;
    if rng.bool() {
        activated = tally.in_time("the activation", &mut activation).await;
    }
    sleep(Duration::from_micros(rng.u64(..8000))).await;
    let fault = [Fault::Kill, Fault::Kill, Fault::Deactivate, Fault::Drop][rng.usize(..4)];
    let mut engine = Some(engine);
    match (fault, &engine) {
        (Fault::Kill, _) => tally.killed += usize::from(until(processes::kill_a_child).await),
        (Fault::Deactivate, Some(engine)) => {
            tally.deactivated += 1;
            if let Some(Err(error)) = tally.in_time("the deactivation", engine.manager().deactivate("probe")).await {
                tally.surprise(format_args!("the deactivation failed: {error}"));
            }
        }
        _ => {
            tally.dropped += 1;
            engine = None;
        }
    }
    let hung = tally.hangs;
    tally.ended(calls).await;
    if tally.hangs > hung {
        let state = state.borrow().to_string();
        report(format_args!("after {fault:?}, with the link {state}, {} calls hang", tally.hangs - hung));
    }
    if activated.is_none() {
        activated = tally.in_time("the activation", &mut activation).await;
    }
    match activated {
        Some(Ok(Ok(()))) => tally.activations += 1,
        // It may have been cancelled with its engine, or by the deactivation.
        Some(Ok(Err(_))) if fault == Fault::Drop => {}
        Some(Ok(Err(ActivateError::Interrupted(_)))) if fault == Fault::Deactivate => {}
        Some(Ok(Err(error))) => {
            tally.surprise(format_args!("after {fault:?}, the activation failed: {error}"));
        }
        Some(Err(panic)) => return Err(panic.into()),
        None => {}
    }
    if let Some(engine) = engine.filter(|_| rng.bool()) {
        tally.in_time("the shutdown", engine.shutdown()).await;
    }
    if !until(|| Left::now() == Left::default()).await {
        let left = Left::now();
        report(format_args!("after {fault:?}: {left:?}"));
        (tally.left.zombies, tally.left.strays) =
            (tally.left.zombies.max(left.zombies), tally.left.strays.max(left.strays));
    }
    Ok(())
}

/// Calls of each kind, all at once: to the process, and through it back to its host.
fn calls(caller: &PluginClient, rng: &mut Rng) -> JoinSet<Result<Value, CallError>> {
    let mut calls = JoinSet::new();
    for number in 0..6_u64 {
        let (caller, ms) = (caller.clone(), rng.u64(..WORK));
        calls.spawn(async move {
            match number % 3 {
                0 => caller.call("probe", "echo", (number,)).await,
                1 => caller.call("probe", "slow", (ms, number)).await,
                _ => caller.call("probe", "relay", ("local", "slow", ms, number)).await,
            }
        });
    }
    calls
}

impl Tally {
    async fn in_time<T>(&mut self, what: &str, work: impl Future<Output = T>) -> Option<T> {
        let done = timeout(LIMIT, work).await.ok();
        if done.is_none() {
            self.hangs += 1;
            report(format_args!("{what} hangs"));
        }
        done
    }

    fn surprise(&mut self, what: std::fmt::Arguments<'_>) {
        self.unexpected += 1;
        report(what);
    }

    async fn ended(&mut self, mut calls: JoinSet<Result<Value, CallError>>) {
        while let Ok(Some(end)) = timeout(LIMIT, calls.join_next()).await {
            match end {
                Ok(Ok(_)) => self.results += 1,
                Ok(Err(CallError::LinkLost(_))) => self.lost += 1,
                // No call takes this long unless it hangs.
                Ok(Err(CallError::TimedOut(_))) => self.hangs += 1,
                Ok(Err(CallError::Refused(_) | CallError::Cancelled(_) | CallError::Plugin(_))) => self.other += 1,
                Ok(Err(error)) => self.surprise(format_args!("a call ended with {error}")),
                Err(panic) => self.surprise(format_args!("a call panicked: {panic}")),
            }
        }
        self.hangs += calls.len();
    }
}

/// Whether a condition becomes true in time.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) -> bool {
    let came = async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, came).await.is_ok()
}

#[allow(clippy::print_stderr, reason = "progress for an interactive user")]
pub(crate) fn progress(line: std::fmt::Arguments<'_>) {
    if std::io::stderr().is_terminal() {
        eprintln!("{line}");
    }
}
