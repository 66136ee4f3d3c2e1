//! The bounds, and the table of results.

use std::time::Duration;

use comfy_table::{Table, presets};
use transport_ws::WsServerConfig;
use transport_ws::stp::StpHubConfig;

use super::meter::Costs;
use super::polite::Stats;
use super::victim::Kind;
use super::{Case, Result};

const MIB: u64 = 1024 * 1024;
/// What a peer pins, at most, that has not completed the handshake or lacks the token.
const STRANGER_MIB: u64 = 64;
/// What a peer pins, at most, after the handshake: its link's budget, which by default is the larger of 64 MiB and four
/// times its largest message (16 MiB), and a tenth.
const LINK_MIB: u64 = (64 * MIB + 64 * MIB / 10) / MIB;
/// The same over socket.io, whose libraries hold up to four more copies of the largest message on its way.
#[cfg(feature = "socketio")]
const SOCKETIO_LINK_MIB: u64 = (128 * MIB + 128 * MIB / 10) / MIB;
/// What the services of one session of a hub pin together, at most, a tenth, and the message of 256 KiB that each of the
/// attack's 48 connections is reading or writing, which is the transport's.
const SESSION_MIB: u64 = (256 * MIB + 256 * MIB / 10 + 48 * MIB / 4) / MIB;
/// A newcomer is let in within this time.
const LET_IN: Duration = Duration::from_secs(2);
/// The 99th percentile of the latency of calls by others.
const P99: Duration = Duration::from_millis(500);
/// Log lines in any second.
const LINES: u64 = 100;
/// The length of a log line, in bytes: several foreign texts, each truncated.
const LINE: u64 = 2048;
/// Descriptors of newcomers that come and go.
const NEWCOMERS: usize = 16;

/// Who attacks, as the victim sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// A peer before its handshake, or without the token.
    Stranger,
    /// A peer after its handshake.
    Peer,
    /// Services of one session of a hub.
    Session,
}

/// The results of a case.
pub(crate) struct Run {
    pub(crate) costs: Costs,
    pub(crate) beside: Beside,
    pub(crate) attacked: Stats,
    /// Links lost by a listener that reads steadily.
    pub(crate) lost: usize,
    /// Items of the attack that were carried out, and what ended it early.
    pub(crate) done: usize,
    pub(crate) how: Option<String>,
    pub(crate) took: Duration,
}

/// What the attack is compared with: what the polite client sees without it.
pub(crate) enum Beside {
    /// While nothing else happens.
    Quiet(Stats),
    /// While well-behaved clients carry out the attack's operations at its rate.
    Polite(Stats),
}

pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "attack",
        "carried out",
        "memory MiB",
        "descriptors",
        "log lines/s",
        "longest line",
        "client p99 ms, without → under attack",
        "let in ms",
        "verdict",
    ]);
    table
}

/// Adds the results of a case. Returns whether every bound held.
pub(crate) fn add(table: &mut Table, case: &Case, run: Result<Run>) -> bool {
    let run = match run {
        Ok(run) => run,
        Err(error) => {
            let row = [case.name, "", "", "", "", "", "", "", &format!("not run: {error}")];
            table.add_row(row.map(str::to_owned));
            return false;
        }
    };
    let broken = broken(case, &run);
    let ms = |time: Option<Duration>| time.map_or("-".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1e3));
    let without = match &run.beside {
        Beside::Quiet(stats) => format!("quiet {}", ms(stats.p99())),
        Beside::Polite(stats) => format!("polite load {}", ms(stats.p99())),
    };
    let ended = run.how.as_deref().map_or(String::new(), |how| format!(", then {}", excerpt(how)));
    table.add_row([
        case.name.to_owned(),
        format!("{} in {:.0} s{ended}", run.done, run.took.as_secs_f64()),
        format!("{} / {}", run.costs.memory, memory_bound(case)),
        format!("{} / {}", run.costs.descriptors, descriptor_bound(case.victim)),
        run.costs.lines.to_string(),
        run.costs.longest.to_string(),
        format!("{without} → {}", ms(run.attacked.p99())),
        ms(run.attacked.let_in()),
        if broken.is_empty() { "held".to_owned() } else { broken.join("; ") },
    ]);
    broken.is_empty()
}

fn broken(case: &Case, run: &Run) -> Vec<String> {
    let costs = &run.costs;
    let mut broken = Vec::new();
    let mut check = |held: bool, what: &dyn Fn() -> String| {
        if !held {
            broken.push(what());
        }
    };
    check(costs.died.is_none(), &|| costs.died.clone().unwrap_or_default());
    check(run.done > 0, &|| "nothing was carried out".to_owned());
    check(costs.memory <= memory_bound(case), &|| "MEMORY".to_owned());
    check(costs.descriptors <= descriptor_bound(case.victim), &|| "DESCRIPTORS".to_owned());
    check(costs.lines <= LINES, &|| "LOG LINES".to_owned());
    check(costs.longest <= LINE, &|| "LOG LINE LENGTH".to_owned());
    check(run.attacked.p99().is_some_and(|p99| p99 <= P99), &|| "LATENCY".to_owned());
    check(run.attacked.let_in().is_none_or(|time| time <= LET_IN), &|| "SHUT OUT".to_owned());
    check(run.lost == 0, &|| format!("A STEADY LISTENER LOST {} LINKS", run.lost));
    let failed = run.attacked.failed();
    check(failed.is_none(), &|| {
        failed.map_or(String::new(), |(times, error)| format!("{times} CALLS FAILED: {}", excerpt(error)))
    });
    check(run.how.as_deref().is_none_or(|how| !how.starts_with(super::FOUND)), &|| "WRONG ANSWER".to_owned());
    broken
}

fn memory_bound(case: &Case) -> u64 {
    match case.side {
        Side::Stranger => STRANGER_MIB,
        #[cfg(feature = "socketio")]
        Side::Peer if case.victim == Kind::Socketio => SOCKETIO_LINK_MIB,
        Side::Peer => LINK_MIB,
        Side::Session => SESSION_MIB,
    }
}

/// The connections that the victim's default configuration accepts, those that are not links yet included.
fn descriptor_bound(kind: Kind) -> usize {
    let websockets = |config: WsServerConfig| config.max_connections + config.max_handshakes;
    NEWCOMERS
        + match kind {
            Kind::Ws | Kind::WsToken => websockets(WsServerConfig::default()),
            // Three connections for each engine, and as many that wait for admission.
            #[cfg(feature = "socketio")]
            Kind::Socketio | Kind::SocketioToken => {
                2 * 3 * transport_socketio::SocketIoServerConfig::default().max_connections
            }
            Kind::Local => transport_ipc::local::LocalConfig::default().max_connections,
            Kind::Hub => websockets(StpHubConfig::default().server),
            // The links of its plugins are open already.
            Kind::Engine => 0,
        }
}

/// A text of another program, for one cell of the table.
fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    // The table is Markdown.
    short = short.replace('|', "/");
    if text.chars().count() > 80 {
        short.push('…');
    }
    short
}
