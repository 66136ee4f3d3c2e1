//! Cases, and how they are run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::capabilities::Need;
use super::contract;
use super::failure::Failure;
use super::fixture::Fixture;
use super::harness::within;

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One behaviour that every transport is tested for.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// The name of its function in [`cases`](super::cases).
    pub name: &'static str,
    /// The name of the function's module.
    pub theme: &'static str,
    /// The capabilities that it requires.
    pub needs: &'static [Need],
    run: for<'a> fn(&'a dyn Fixture) -> Running<'a>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.theme, self.name)
    }
}

/// The outcome of a case.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The promise is kept.
    Passed,
    /// Not run, with the reason: the fixture lacks a capability that the case requires.
    Skipped(&'static str),
    /// The promise is not kept.
    Failed(Failure),
}

impl Case {
    /// The case of that name.
    pub fn find(name: &str) -> Option<&'static Case> {
        CASES.iter().find(|case| case.name == name)
    }

    /// Runs it in bounded time. Must be called within a tokio runtime that has its time driver enabled.
    pub async fn run(&self, fixture: &dyn Fixture) -> Verdict {
        let has = fixture.capabilities();
        if let Some(why) = self.needs.iter().find_map(|need| need.unmet(&has)) {
            return Verdict::Skipped(why);
        }
        // Each wait has its own limit; this one bounds their sum.
        let ran = within(has.timeout.saturating_mul(10), "the case to end", (self.run)(fixture)).await;
        match ran.and_then(|outcome| outcome) {
            Ok(()) => Verdict::Passed,
            Err(failure) => {
                let (rule, hint) = contract::default_for(self.theme);
                Verdict::Failed(failure.of_case(self.name).fallback_hint(hint).rule(rule))
            }
        }
    }
}

/// The outcome of every case.
#[derive(Debug, Clone)]
pub struct Report(pub(super) Vec<(&'static Case, Verdict)>);

impl Report {
    /// Each case with its outcome, in the order of [`CASES`].
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static Case, &Verdict)> {
        self.0.iter().map(|(case, verdict)| (*case, verdict))
    }

    /// How many passed, were skipped, and failed.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.0.iter().fold((0, 0, 0), |(passed, skipped, failed), (_, verdict)| match verdict {
            Verdict::Passed => (passed + 1, skipped, failed),
            Verdict::Skipped(_) => (passed, skipped + 1, failed),
            Verdict::Failed(_) => (passed, skipped, failed + 1),
        })
    }

    /// The failures.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Failed(failure) => Some(failure),
            _ => None,
        })
    }
}

/// One line for each case, and one with the counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, verdict) in &self.0 {
            let (theme, name) = (case.theme, case.name);
            match verdict {
                Verdict::Passed => writeln!(f, "passed   {theme:<10} {name}")?,
                Verdict::Skipped(why) => writeln!(f, "skipped  {theme:<10} {name}: {why}")?,
                Verdict::Failed(failure) => writeln!(f, "FAILED   {theme:<10} {failure}")?,
            }
        }
        let (passed, skipped, failed) = self.counts();
        write!(f, "{} cases: {passed} passed, {skipped} skipped, {failed} failed", self.0.len())
    }
}

/// Runs every case, one after the other. Must be called within a tokio runtime that has its time driver enabled.
pub async fn run_all(fixture: &dyn Fixture) -> Report {
    let mut verdicts = Vec::with_capacity(CASES.len());
    for case in CASES {
        verdicts.push((case, case.run(fixture).await));
    }
    Report(verdicts)
}

/// Checks that the capabilities a fixture lacks are those that its [`suite!`](crate::suite) lists after `without`, so that
/// no case is skipped unnoticed.
///
/// # Panics
/// They differ.
#[doc(hidden)]
pub fn check_without(fixture: &impl Fixture, without: &[Need]) {
    let has = fixture.capabilities();
    for need in Need::ALL {
        match (need.unmet(&has), without.contains(need)) {
            (Some(why), false) => {
                panic!("cases are skipped because {why}: declare it with suite!(FIXTURE, without: [{need:?}, …])")
            }
            (None, true) => panic!("the fixture has {need:?} now: remove it from suite!(FIXTURE, without: […])"),
            _ => {}
        }
    }
}

macro_rules! table {
    ({} $($theme:ident { $($name:ident [$($need:ident),*],)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(Case {
            name: stringify!($name),
            theme: stringify!($theme),
            needs: &[$(Need::$need),*],
            run: |fixture| Box::pin(super::cases::$theme::$name(fixture)),
        },)*)*];
    };
}

crate::__cases!(table, {});
