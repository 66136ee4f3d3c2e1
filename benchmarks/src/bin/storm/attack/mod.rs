//! Attacks on servers, hubs, engines and plugins in their default configuration. The victim is a child process, and each
//! attack has bounds on what it may cost the victim and the well-behaved clients beside it.

mod bytes;
mod children;
mod connections;
mod hub;
mod logs;
mod meter;
mod polite;
#[cfg(feature = "socketio")]
mod polling;
mod raw;
mod requests;
mod verdict;
pub(crate) mod victim;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use comfy_table::{Table, presets};
use examples::{Done, report};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::meter::Victim;
use self::polite::Polite;
use self::raw::Socket;
use self::verdict::{Run, Side};
use self::victim::Kind;

pub(crate) type Result<T> = std::result::Result<T, String>;

/// Begins the error of an attack that found a wrong answer, as opposed to a refusal.
const FOUND: &str = "found: ";
/// How long the polite client is observed without an attack.
const QUIET: Duration = Duration::from_millis(700);
/// How long an attack that sends a number of items may take, as a multiple of `--seconds`.
const MAX_FACTOR: u32 = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this case; may be given more than once.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// Not this case; may be given more than once.
    #[arg(long, value_name = "CASE")]
    skip: Vec<String>,
    /// How many items (connections, frames, calls …) each attack has, instead of the number that its description names.
    #[arg(long)]
    n: Option<usize>,
    /// How long each attack lasts, at least.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Lists the cases.
    #[arg(long)]
    list: bool,
}

/// One attack.
struct Case {
    name: &'static str,
    about: &'static str,
    victim: Kind,
    /// Whom the victim thinks it has to do with, which decides how much memory the attack may pin.
    side: Side,
    /// The default number of items, if the attack has a number.
    n: usize,
    attack: fn(Target) -> Attack,
    /// The plugin and method that the polite plugin of an engine calls.
    calls: (&'static str, &'static str),
    /// The engine's child process.
    child: &'static [&'static str],
}

impl Case {
    const fn new(name: &'static str, victim: Kind, side: Side, n: usize, attack: fn(Target) -> Attack) -> Case {
        Case { name, about: "", victim, side, n, attack, calls: ("app", "echo"), child: &[] }
    }

    const fn about(self, about: &'static str) -> Case {
        Case { about, ..self }
    }

    const fn calls(self, plugin: &'static str, method: &'static str) -> Case {
        Case { calls: (plugin, method), ..self }
    }

    const fn child(self, child: &'static [&'static str]) -> Case {
        Case { child, ..self }
    }
}

/// Ends with an error if the victim refuses or cuts the attacker. What it returns is held until the costs are known.
type Attack = Pin<Box<dyn Future<Output = Result<Held>> + Send>>;
type Held = Box<dyn Any + Send>;

/// What an attack gets.
struct Target {
    kind: Kind,
    url: String,
    /// The hostile plugin's end of its link to the engine, after the handshake.
    link: Option<Socket>,
    n: usize,
    /// When an attack that has no number of items ends.
    until: Instant,
    done: Arc<AtomicUsize>,
}

impl Target {
    /// Counts an item as carried out.
    fn count(&self) {
        self.count_all(1);
    }

    fn count_all(&self, items: usize) {
        self.done.fetch_add(items, Ordering::Relaxed);
    }

    fn link(&mut self) -> Result<Socket> {
        self.link.take().ok_or_else(|| "the victim is not an engine".to_owned())
    }
}

fn cases() -> Vec<Case> {
    let mut cases = connections::CASES.iter().collect::<Vec<_>>();
    #[cfg(feature = "socketio")]
    cases.extend(polling::CASES);
    cases
        .extend(hub::CASES.iter().chain(bytes::CASES).chain(requests::CASES).chain(logs::CASES).chain(children::CASES));
    cases.into_iter().map(|case| Case { ..*case }).collect()
}

pub(crate) async fn storm(args: Args) -> Done {
    let cases = cases();
    if args.list {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for case in &cases {
            table.add_row([case.name, &case.n.to_string(), case.about]);
        }
        report(table);
        return Ok(());
    }
    if let Some(name) = args.only.iter().chain(&args.skip).find(|name| !cases.iter().any(|case| case.name == **name)) {
        return Err(format!("unknown case {name}: `storm attack --list` lists the cases").into());
    }
    raise_descriptor_limit();
    let mut table = verdict::table();
    let (mut harmed, mut count) = (Vec::new(), 0);
    let names = |list: &[String], case: &Case| list.iter().any(|name| name == case.name);
    let is_chosen = |case: &&Case| (args.only.is_empty() || names(&args.only, case)) && !names(&args.skip, case);
    for case in cases.iter().filter(is_chosen) {
        crate::children::progress(format_args!("{}: {}", case.name, case.about));
        let run = run(case, args.n.unwrap_or(case.n), Duration::from_secs(args.seconds)).await;
        if !verdict::add(&mut table, case, run) {
            harmed.push(case.name);
        }
        count += 1;
    }
    report(&table);
    match harmed.is_empty() {
        true => Ok(()),
        false => Err(format!("{} of {count} attacks broke a bound: {}", harmed.len(), harmed.join(", ")).into()),
    }
}

async fn run(case: &Case, n: usize, duration: Duration) -> Result<Run> {
    let (mut arguments, mut engine) = (vec![clap_name(case.victim)], None);
    if case.victim == Kind::Engine {
        let (polite, url) = Polite::of_engine(case.calls.0, case.calls.1)?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let hostile = format!("ws://{}", listener.local_addr().map_err(text)?);
        let (steady, steady_url) = requests::Steady::start().await?;
        for (name, url) in [("hostile", &hostile), ("steady", &steady_url), ("polite", &url)] {
            arguments.extend(["--plugin".to_owned(), format!("{name}={url}")]);
        }
        engine = Some((polite, steady, tokio::spawn(async move { (Socket::accept(&listener).await, listener) })));
    }
    if !case.child.is_empty() {
        arguments.push("--child".to_owned());
        arguments.extend(case.child.iter().map(|&part| part.to_owned()));
    }
    let starting = tokio::task::spawn_blocking(move || Victim::start(&arguments));
    let mut victim = starting.await.map_err(text)??;
    let (polite, link, steady) = match engine {
        None => (Polite::of_server(case.victim, &victim.address)?, None, None),
        Some((polite, steady, accepting)) => {
            let (link, listener) = accepting.await.map_err(text)?;
            (polite, Some((link?, listener)), Some(steady))
        }
    };
    let (link, _listener) = link.unzip();
    // Connecting, and the first calls.
    sleep(Duration::from_millis(300)).await;
    polite.take();
    sleep(QUIET).await;
    let quiet = polite.take();

    victim.begin();
    let began = Instant::now();
    let done = Arc::new(AtomicUsize::new(0));
    let target = Target {
        kind: case.victim,
        url: victim.address.clone(),
        link,
        n,
        until: began + duration,
        done: Arc::clone(&done),
    };
    let limit = if n == 0 { duration } else { duration * MAX_FACTOR };
    let (held, how) = match timeout(limit, (case.attack)(target)).await {
        Ok(Ok(held)) => (Some(held), None),
        Ok(Err(error)) => (None, Some(error)),
        Err(_) => (None, (n > 0).then(|| "blocked".to_owned())),
    };
    sleep_until(began + duration).await;
    let (costs, attacked) = (victim.costs(), polite.take());
    drop(held);
    let lost = steady.map_or(0, |steady| steady.lost());
    Ok(Run { costs, quiet, attacked, lost, done: done.load(Ordering::Relaxed), how, took: began.elapsed() })
}

fn clap_name(kind: Kind) -> String {
    use clap::ValueEnum;
    kind.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Attacks need a descriptor for each connection, and so do victims, which inherit the limit.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it the attack reports fewer connections.
    let _ = setrlimit(Resource::Nofile, limit);
}
