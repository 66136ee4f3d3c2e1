//! Attacks on servers, hubs, engines and plugins in their default configuration. The victim is a child process, and each
//! attack has bounds on what it may cost the victim and the well-behaved clients beside it.

mod bytes;
mod children;
mod connections;
mod engines;
mod heads;
mod hub;
mod load;
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
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use comfy_table::{Table, presets};
use examples::{Done, report};
use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::load::Operation;
use self::meter::Victim;
use self::polite::{Polite, Stats};
use self::raw::Socket;
use self::verdict::{Beside, Run, Side};
use self::victim::Kind;

pub(crate) type Result<T> = std::result::Result<T, String>;

/// Begins the error of an attack that found a wrong answer, as opposed to a refusal.
const FOUND: &str = "found: ";
/// How long the polite client is observed without an attack, and beside others that are polite too.
const QUIET: Duration = Duration::from_millis(500);
/// How long a polite client takes to connect and to make its first calls.
const WARM_UP: Duration = Duration::from_millis(200);
/// How long an attack that sends a number of items may take, as a multiple of `--seconds`.
const MAX_FACTOR: u32 = 3;
/// How long a brief attack is observed, in seconds.
const BRIEF: u64 = 1;

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
    attack: &'static dyn Attack,
    /// The plugin and method that the polite plugin of an engine calls.
    calls: (&'static str, &'static str),
    /// The engine's child process.
    child: &'static [&'static str],
    /// What well-behaved clients do at the attack's rate, for comparison. Without it, the comparison is with quiet.
    politely: Option<Operation>,
    /// The attack shows its costs within a second.
    brief: bool,
}

impl Case {
    const fn new(name: &'static str, victim: Kind, side: Side, n: usize, attack: &'static dyn Attack) -> Case {
        Case {
            name,
            about: "",
            victim,
            side,
            n,
            attack,
            calls: ("app", "echo"),
            child: &[],
            politely: None,
            brief: false,
        }
    }

    /// The same attack on another victim.
    const fn at(self, name: &'static str, victim: Kind) -> Case {
        Case { name, victim, ..self }
    }

    const fn about(self, about: &'static str) -> Case {
        Case { about, ..self }
    }

    const fn calls(self, plugin: &'static str, method: &'static str) -> Case {
        Case { calls: (plugin, method), ..self }
    }

    const fn politely(self, operation: Operation) -> Case {
        Case { politely: Some(operation), ..self }
    }

    const fn brief(self) -> Case {
        Case { brief: true, ..self }
    }

    const fn child(self, child: &'static [&'static str]) -> Case {
        Case { child, ..self }
    }
}

/// An async function that attacks a target. It ends with an error if the victim refuses or cuts the attacker. Its result,
/// for example the attacker's connections, is held until the costs are known.
trait Attack: Sync {
    fn start(&self, target: Target) -> BoxFuture<'static, Result<Held>>;
}

type Held = Box<dyn Any + Send>;

impl<F, Running, T> Attack for F
where
    F: Fn(Target) -> Running + Sync,
    Running: Future<Output = Result<T>> + Send + 'static,
    T: Any + Send,
{
    fn start(&self, target: Target) -> BoxFuture<'static, Result<Held>> {
        self(target).map_ok(|held| Box::new(held) as Held).boxed()
    }
}

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

    /// Writes a batch of `frames` frames again and again until the time is up, without reading.
    async fn flood(&self, mut link: Socket, batch: &[u8], frames: usize) -> Result<Socket> {
        while Instant::now() < self.until {
            link.write(batch).await?;
            self.count_all(frames);
        }
        Ok(link)
    }

    fn link(&mut self) -> Result<Socket> {
        self.link.take().ok_or_else(|| "the victim is not an engine".to_owned())
    }
}

fn cases() -> Vec<Case> {
    let mut cases = connections::CASES.iter().collect::<Vec<_>>();
    #[cfg(feature = "socketio")]
    cases.extend(polling::CASES);
    let others =
        [hub::CASES, heads::CASES, engines::CASES, bytes::CASES, requests::CASES, logs::CASES, children::CASES];
    cases.extend(others.into_iter().flatten());
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
        let seconds = if case.brief { args.seconds.min(BRIEF) } else { args.seconds };
        let run = run(case, args.n.unwrap_or(case.n), Duration::from_secs(seconds)).await;
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

/// A victim, and the well-behaved clients beside the attack.
struct Scene {
    victim: Victim,
    polite: Polite,
    steady: Option<requests::Steady>,
}

impl Scene {
    /// An engine reaches its plugin `hostile` at that URL.
    async fn start(case: &Case, hostile: &str) -> Result<Scene> {
        let (mut arguments, mut beside) = (vec![clap_name(case.victim)], None);
        if case.victim == Kind::Engine {
            let (polite, url) = Polite::of_engine(case.calls.0, case.calls.1)?;
            let (steady, steady_url) = requests::Steady::start().await?;
            for (name, url) in [("hostile", hostile), ("steady", &steady_url), ("polite", &url)] {
                arguments.extend(["--plugin".to_owned(), format!("{name}={url}")]);
            }
            beside = Some((polite, steady));
        }
        if !case.child.is_empty() {
            arguments.push("--child".to_owned());
            arguments.extend(case.child.iter().map(|&part| part.to_owned()));
        }
        let starting = tokio::task::spawn_blocking(move || Victim::start(&arguments));
        let victim = starting.await.map_err(text)??;
        let (polite, steady) = match beside {
            None => (Polite::of_server(case.victim, &victim.address)?, None),
            Some((polite, steady)) => (polite, Some(steady)),
        };
        Ok(Scene { victim, polite, steady })
    }

    /// What the polite client sees for that time, without its connecting and first calls.
    async fn observe(&self, time: Duration) -> Stats {
        sleep(WARM_UP).await;
        self.polite.take();
        sleep(time).await;
        self.polite.take()
    }
}

async fn run(case: &Case, n: usize, duration: Duration) -> Result<Run> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    let hostile = format!("ws://{}", listener.local_addr().map_err(text)?);
    let accepting = tokio::spawn(async move { (Socket::accept(&listener).await, listener) });
    let mut scene = Scene::start(case, &hostile).await?;
    let (link, _listener) = match case.victim {
        Kind::Engine => {
            let (link, listener) = accepting.await.map_err(text)?;
            (Some(link?), Some(listener))
        }
        _ => (None, None),
    };
    let quiet = scene.observe(if case.politely.is_none() { QUIET } else { Duration::ZERO }).await;

    scene.victim.begin();
    let began = Instant::now();
    let done = Arc::new(AtomicUsize::new(0));
    let target = Target {
        kind: case.victim,
        url: scene.victim.address.clone(),
        link,
        n,
        until: began + duration,
        done: Arc::clone(&done),
    };
    let limit = if n == 0 { duration } else { duration * MAX_FACTOR };
    let (held, how) = match timeout(limit, case.attack.start(target)).await {
        Ok(Ok(held)) => (Some(held), None),
        Ok(Err(error)) => (None, Some(error)),
        Err(_) => (None, (n > 0).then(|| "blocked".to_owned())),
    };
    sleep_until(began + duration).await;
    let (costs, attacked, took) = (scene.victim.costs(), scene.polite.take(), began.elapsed());
    drop(held);
    let lost = scene.steady.as_ref().map_or(0, requests::Steady::lost);
    drop(scene);
    let done = done.load(Ordering::Relaxed);
    let beside = match case.politely {
        None => Beside::Quiet(quiet),
        Some(operation) => Beside::Polite(load::observe(case, operation, done as f64 / took.as_secs_f64()).await?),
    };
    Ok(Run { costs, beside, attacked, lost, done, how, took })
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
