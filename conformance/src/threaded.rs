//! Runs cases in threads of their own, several at once or as tests.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fixture::Fixture;
use super::suite::{CASES, Case, Report, Verdict};

/// Runs every case, this many at once, each in a runtime and its own thread: for a fixture that delays what is sent, so
/// that cases mostly wait. The report is in the order of [`CASES`].
pub fn run_at_once(fixture: &impl Fixture, at_once: NonZeroUsize) -> Report {
    let next = AtomicUsize::new(0);
    let take_turns = || {
        let mut verdicts = Vec::new();
        while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            verdicts.push((case, run_in_runtime(case, fixture)));
        }
        verdicts
    };
    let mut verdicts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once.get()).map(|_| scope.spawn(take_turns)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    verdicts.sort_by_key(|(case, _)| CASES.iter().position(|other| other.name == case.name));
    Report(verdicts)
}

/// Runs a case in its own runtime, which has one thread, or two for the theme `threads`.
fn run_in_runtime(case: &Case, fixture: &impl Fixture) -> Verdict {
    let runtime = match case.theme {
        "threads" => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    let verdict = runtime.block_on(case.run(fixture));
    runtime.shutdown_background();
    verdict
}

/// Runs one case as a test in its own runtime, for [`suite!`](crate::suite).
///
/// # Panics
/// The case fails unexpectedly, or passes although it is expected to fail.
#[doc(hidden)]
#[allow(clippy::print_stderr, reason = "a skipped test must report that it was")]
pub fn run_as_test(name: &str, fixture: impl Fixture, expected: &[(&str, &str)]) {
    let case = Case::find(name).unwrap_or_else(|| panic!("unknown case {name}"));
    let verdict = run_in_runtime(case, &fixture);
    let reason = expected.iter().find(|(expected, _)| *expected == name).map(|(_, reason)| reason);
    match (verdict, reason) {
        (Verdict::Passed, None) => {}
        (Verdict::Skipped(why), None) => eprintln!("skipped: {why}"),
        (Verdict::Failed(failure), None) => panic!("{failure}"),
        (Verdict::Failed(failure), Some(reason)) => eprintln!("failed as expected ({reason}): {failure}"),
        (Verdict::Passed | Verdict::Skipped(_), Some(reason)) => {
            panic!("{name} was expected to fail ({reason}) and did not: remove it from the list")
        }
    }
}
