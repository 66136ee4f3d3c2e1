//! The suite's own behaviour: reports, skipped cases, and strict lists of expected failures.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::panic::catch_unwind;

use conformance::{
    CASES, Capabilities, Case, Endpoints, Fixture, FixtureError, Memory, MemoryClient, Verdict, memory, run_all,
    run_as_test, run_at_once,
};
use connector_core::{ClientConnector, Link, LinkEnd, async_trait};

/// A transport without optional capabilities.
struct Plain;

#[async_trait]
impl Fixture for Plain {
    fn capabilities(&self) -> Capabilities {
        let bounded = Capabilities::default().max_unread(1000).max_unread_bytes(8 << 20);
        bounded.text(false).reconnect(false).multiple_engines(false).distinguishes_loss(false)
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let (plugin, client, _) = memory();
        Ok(Endpoints::new("memory://", Once(Some(client)), move || plugin.clone()))
    }
}

/// Returns one link, and then reports that there will be no more.
struct Once(Option<MemoryClient>);

#[async_trait]
impl ClientConnector for Once {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let Some(client) = &mut self.0 else {
            return Err(LinkEnd::Closed { code: None, reason: String::new() });
        };
        let link = client.accept().await?;
        self.0 = None;
        Ok(link)
    }
}

/// A fixture whose endpoints cannot be made.
struct Broken;

#[async_trait]
impl Fixture for Broken {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        Err("no port is free".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_lists_every_case() {
    let report = run_all(&Plain).await;
    let (passed, skipped, failed) = report.counts();
    println!("{report}");
    assert_eq!((passed + skipped, failed), (CASES.len(), 0));
    for (case, verdict) in report.verdicts() {
        assert_eq!(matches!(verdict, Verdict::Skipped(_)), !case.needs.is_empty(), "{case:?}");
    }
    assert!(
        report.to_string().contains("skipped  loss       calls_succeed_after_a_loss: its fixture cannot cut links")
    );
}

#[test]
fn cases_that_run_at_once_are_reported_in_order() {
    let report = run_at_once(&Plain, NonZeroUsize::new(8).unwrap());
    assert_eq!(report.counts().2, 0, "{report}");
    let names: Vec<_> = report.verdicts().map(|(case, _)| case.name).collect();
    assert_eq!(names, CASES.iter().map(|case| case.name).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fixture_that_fails_fails_its_case() {
    let Verdict::Failed(failure) = CASES[0].run(&Broken).await else { panic!() };
    let text = failure.to_string();
    assert!(text.contains(CASES[0].name) && text.contains("no port is free"), "{text}");
}

#[test]
fn names_are_unique() {
    let names: HashSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len());
    assert!(CASES.len() >= 70 && Case::find("no such case").is_none());
}

#[test]
fn lists_of_expected_failures_are_strict() {
    const NAME: &str = "an_empty_flush_is_ready";
    run_as_test(NAME, Memory, &[]);
    run_as_test(NAME, Broken, &[(NAME, "no port is free")]);
    catch_unwind(|| run_as_test(NAME, Broken, &[])).unwrap_err();
    catch_unwind(|| run_as_test(NAME, Memory, &[(NAME, "it passes")])).unwrap_err();
    catch_unwind(|| run_as_test("silence_is_detected", Memory, &[("silence_is_detected", "skipped")])).unwrap_err();
}
