//! One engine under the storm: the requests made, and what must be true once they have ended.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use connector_core::{Engine, Plugin, PluginClient, Policy, Profile, async_trait};
use examples::{Done, report};
use fastrand::Rng;
use futures_util::future::poll_immediate;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet, unconstrained};
use tokio::time::{sleep, timeout};

use super::request::{Op, Outcome, activated, called};
use super::subject::{self, Subject, TRANSPORTS, Transport};
use super::tally::Tally;
use crate::LifecycleArgs;
use crate::children::until;
use crate::processes::{self, Left};

/// A request that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);
/// The maximum number of programs started; one in this many requests may start one.
const PROGRAMS: usize = 5000;
const ONE_PROGRAM_IN: usize = 20;
/// Programs that may be started ahead of schedule.
const AHEAD: usize = 16;

/// Any plugin may deactivate any other.
struct AllowAll;

#[async_trait]
impl Policy for AllowAll {
    async fn can_deactivate(&self, _: &Profile, _: &Profile) -> bool {
        true
    }
}

/// The expected state of a plugin once no request is in flight.
#[derive(Debug, Clone)]
enum Expected {
    Inactive,
    Active,
    /// As the outcome says; either state if the request was dropped.
    As(Arc<OnceLock<bool>>),
    Either,
}

/// An engine, its plugins, and the requests in flight.
pub(super) struct World<'a> {
    args: &'a LifecycleArgs,
    program: PathBuf,
    rng: &'a mut Rng,
    pub(super) tally: &'a mut Tally,
    engine: Engine,
    local: PluginClient,
    subjects: Vec<Subject>,
    expected: Vec<Expected>,
    /// Remote deactivations in flight, which ask the plugin first: the time of their execution is unknown.
    asking: Vec<usize>,
    under_way: JoinSet<(usize, Op, Outcome)>,
}

impl<'a> World<'a> {
    pub(super) async fn new(
        args: &'a LifecycleArgs,
        program: PathBuf,
        rng: &'a mut Rng,
        tally: &'a mut Tally,
    ) -> Result<World<'a>, Box<dyn std::error::Error>> {
        let engine = Engine::builder().policy(AllowAll).build();
        let local = engine.register(Plugin::new("local"))?;
        engine.manager().activate("local").await?;
        let transport = |number: usize| TRANSPORTS[number % TRANSPORTS.len()];
        // The hooks of a third of the plugins in this process change the states of each other, of themselves, and of one plugin
        // behind each kind of link that starts no process.
        let first = |of: Transport| (0..args.plugins).find(|number| transport(*number) == of);
        let meddlers: Vec<usize> =
            (0..args.plugins).filter(|number| transport(*number) == Transport::Here).skip(1).step_by(3).collect();
        let others = [Transport::Thread, Transport::Task, Transport::Websocket, Transport::Memory].map(first);
        let meddled: Vec<usize> = meddlers.iter().copied().chain(others.into_iter().flatten()).collect();
        let names: Vec<String> = meddled.iter().map(|number| subject::name(*number)).collect();
        let mut subjects = Vec::new();
        for number in 0..args.plugins {
            let meddling = meddlers.contains(&number).then(|| (names.clone(), engine.manager()));
            let links = tally.links(transport(number), PROGRAMS.min(args.n / ONE_PROGRAM_IN + AHEAD));
            let mut subject = Subject::new(number, meddling, meddled.contains(&number), links, rng).await?;
            subject.register(&engine, &program)?;
            subjects.push(subject);
        }
        let expected = vec![Expected::Inactive; args.plugins];
        let (asking, under_way) = (vec![0; args.plugins], JoinSet::new());
        Ok(World { args, program, rng, tally, engine, local, subjects, expected, asking, under_way })
    }

    /// Makes one request, possibly after a loss.
    pub(super) async fn one(&mut self, number: usize) -> Done {
        while self.under_way.len() >= self.args.side_by_side.max(1) {
            self.next_ended().await;
        }
        while let Some(ended) = self.under_way.try_join_next() {
            self.ended(ended);
        }
        let paced = PROGRAMS.min(number / ONE_PROGRAM_IN);
        let may_start = self.tally.programs() <= paced;
        if self.rng.u8(..20) == 0 {
            let at = self.rng.usize(..self.subjects.len());
            let subject = &self.subjects[at];
            // A killed program is restarted.
            if (may_start || !subject.transport.is_child()) && subject.lose(self.rng) {
                self.tally.lost(subject.transport);
            }
        }
        loop {
            let (op, at) = (Op::draw(self.rng), self.rng.usize(..self.subjects.len()));
            let starts = matches!(op, Op::Activate | Op::Call) && self.subjects[at].transport.is_child();
            if may_start || !starts {
                return self.make(at, op).await;
            }
        }
    }

    async fn make(&mut self, at: usize, op: Op) -> Done {
        let subject = &self.subjects[at];
        let asks_first = op == Op::DeactivateRemotely && subject.transport != Transport::Here;
        let mut dropped_after = (self.rng.u8(..4) == 0).then(|| Duration::from_micros(self.rng.u64(..10_000)));
        if asks_first && !subject.meddled_with {
            dropped_after = None;
        }
        let reliable = subject.is_reliable();
        let active = Arc::new(OnceLock::new());
        let mut request = Box::pin(self.request(at, op));
        // Polled once here, so that requests are made in their random order.
        let done = poll_immediate(unconstrained(&mut request)).await;
        match op {
            Op::Activate if reliable => self.expect(at, Expected::Active),
            Op::Activate => self.expect(at, Expected::As(Arc::clone(&active))),
            Op::Deactivate => self.expect(at, Expected::Inactive),
            Op::DeactivateRemotely if !asks_first => self.expect(at, Expected::Inactive),
            Op::DeactivateRemotely => {
                self.asking[at] += 1;
                self.expect(at, Expected::Either);
            }
            Op::Call if matches!(self.expected[at], Expected::Active) => {}
            Op::Call => self.expect(at, Expected::Either),
            Op::Remove => {
                self.subjects[at].register(&self.engine, &self.program)?;
                self.expect(at, Expected::Inactive);
            }
            Op::Shutdown => (0..self.subjects.len()).for_each(|at| self.expect(at, Expected::Inactive)),
        }
        let ends = async move {
            let limit = dropped_after.unwrap_or(LIMIT);
            let late = if dropped_after.is_some() { Outcome::Dropped } else { Outcome::Hangs };
            let outcome = match done {
                Some(outcome) => outcome,
                None => timeout(limit, request).await.unwrap_or(late),
            };
            match outcome {
                Outcome::Done => drop(active.set(true)),
                Outcome::Failed => drop(active.set(false)),
                _ => {}
            }
            (at, op, outcome)
        };
        self.under_way.spawn(ends);
        if op == Op::Shutdown {
            let again = timeout(LIMIT, self.engine.manager().activate("local")).await;
            again.map_err(|_| "the activation of a plugin without hooks hangs")??;
        }
        Ok(())
    }

    fn expect(&mut self, at: usize, expected: Expected) {
        let known = !self.subjects[at].meddled_with && self.asking[at] == 0;
        self.expected[at] = if known { expected } else { Expected::Either };
    }

    fn request(&self, at: usize, op: Op) -> impl Future<Output = Outcome> + Send + use<> {
        let (engine, manager, local) = (self.engine.clone(), self.engine.manager(), self.local.clone());
        let name = self.subjects[at].name().to_owned();
        let value = fastrand::u64(..1 << 50);
        async move {
            match op {
                Op::Activate => activated(manager.activate(&name).await),
                Op::Deactivate => match manager.deactivate(&name).await {
                    Ok(()) => Outcome::Done,
                    Err(error) => Outcome::Surprise(error.to_string()),
                },
                Op::DeactivateRemotely => called(local.call("manager", "deactivatePlugin", (name,)).await, ()),
                Op::Remove => {
                    engine.remove(&name).await;
                    Outcome::Done
                }
                Op::Call => called(local.call(&name, "echo", (value,)).await, value),
                Op::Shutdown => {
                    engine.shutdown().await;
                    Outcome::Done
                }
            }
        }
    }

    /// Waits until a request ends; false if none is in flight.
    async fn next_ended(&mut self) -> bool {
        let next = self.under_way.join_next().await;
        next.map(|ended| self.ended(ended)).is_some()
    }

    fn ended(&mut self, ended: Result<(usize, Op, Outcome), JoinError>) {
        let (at, op, outcome) = match ended {
            Ok(ended) => ended,
            Err(panic) => {
                self.tally.elsewhere += 1;
                return report(format_args!("a request's task panicked: {panic}"));
            }
        };
        let subject = &self.subjects[at];
        if op == Op::DeactivateRemotely && subject.transport != Transport::Here {
            self.asking[at] -= 1;
        }
        self.tally.ended(subject.transport, op, &outcome);
        let name = if op == Op::Shutdown { "all" } else { subject.name() };
        match outcome {
            Outcome::Hangs => report(format_args!("{} of {name} hangs: {}", op.name(), self.state(at))),
            Outcome::Surprise(error) => report(format_args!("{} of {name}: {error}", op.name())),
            Outcome::Done | Outcome::Failed | Outcome::Dropped => {}
        }
    }

    fn state(&self, at: usize) -> String {
        let (name, manager) = (self.subjects[at].name(), self.engine.manager());
        let link = self.engine.link_state(name).map(|state| format!(", its link {}", *state.borrow()));
        format!("{name} is active: {}{}", manager.is_active(name), link.unwrap_or_default())
    }

    /// Lets all requests end, and checks the state of each plugin.
    pub(super) async fn settle(&mut self) {
        while self.next_ended().await {}
        until(|| self.wrongs().next().is_none()).await;
        // Dropped requests may still be executed late, as may the loss of a link. So a mismatch counts only if it persists.
        sleep(Duration::from_millis(50)).await;
        let mut wrongs = Vec::new();
        until(|| {
            wrongs = self.wrongs().collect();
            wrongs.is_empty()
        })
        .await;
        for (at, wrong) in wrongs {
            report(format_args!("{wrong}: {}", self.state(at)));
            self.tally.violated(self.subjects[at].transport);
        }
        if let left @ Left { zombies: 1.., .. } = Left::now() {
            self.tally.elsewhere += 1;
            report(format_args!("while no request is in flight: {left:?}"));
        }
        let manager = self.engine.manager();
        for (at, subject) in self.subjects.iter_mut().enumerate() {
            subject.past.clear();
            let active = manager.is_active(subject.name());
            self.expected[at] = match active {
                _ if subject.meddled_with => Expected::Either,
                true => Expected::Active,
                false => Expected::Inactive,
            };
        }
    }

    /// The mismatches while no request is in flight.
    fn wrongs(&self) -> impl Iterator<Item = (usize, String)> {
        let manager = self.engine.manager();
        self.subjects.iter().enumerate().filter_map(move |(at, subject)| {
            let active = manager.is_active(subject.name());
            let expected = match &self.expected[at] {
                Expected::Inactive => Some(false),
                Expected::Active => Some(true),
                Expected::As(outcome) => outcome.get().copied(),
                Expected::Either => None,
            };
            if expected.is_some_and(|expected| expected != active) {
                return Some((at, format!("by the last request, {:?} was expected", self.expected[at])));
            }
            if let Some(state) = self.engine.link_state(subject.name())
                && state.borrow().is_up() != active
            {
                return Some((at, "its state does not match its link".to_owned()));
            }
            let (name, number) = (subject.name(), usize::from(active));
            let running = match subject.transport {
                Transport::Thread => processes::threads(name),
                of if of.is_child() => processes::count(name),
                _ => number,
            };
            if running != number {
                return Some((at, format!("{running} processes or threads run for it")));
            }
            let past = subject.past.iter().find_map(|hooks| hooks.wrong(false));
            let now = if subject.transport.is_child() { None } else { subject.hooks.wrong(active) };
            past.or(now).map(|wrong| (at, format!("its hooks are not paired: {wrong}")))
        })
    }

    /// Shuts down, drops everything, and checks for leaks.
    pub(super) async fn end(mut self, tasks: usize, descriptors: usize) {
        let all = async {
            // Hooks may activate plugins that are already deactivated.
            while self.engine.manager().active_profiles().len() > 1 {
                self.engine.shutdown().await;
            }
        };
        if timeout(LIMIT, all).await.is_err() {
            self.tally.elsewhere += 1;
            report("the last shutdown hangs");
        }
        self.expected.fill(Expected::Inactive);
        self.settle().await;
        let World { tally, engine, local, subjects, .. } = self;
        drop((engine, local, subjects));
        let now =
            || (Handle::current().metrics().num_alive_tasks(), processes::descriptors(), processes::socket_files());
        let is_clean = || {
            let (tasks_now, descriptors_now, files) = now();
            tasks_now <= tasks && descriptors_now <= descriptors && files == 0 && Left::now() == Left::default()
        };
        if !until(is_clean).await {
            tally.elsewhere += 1;
            let ((tasks_now, descriptors_now, files), left) = (now(), Left::now());
            report(format_args!(
                "without the engine: {tasks_now} tasks, {descriptors_now} descriptors, {files} files of sockets, {left:?}"
            ));
        }
    }
}
