//! The conformance suite over message ports, in a page or a worker (`.ci/run web`).
#![cfg(all(target_family = "wasm", target_os = "unknown", feature = "client", feature = "plugin"))]

mod relay;

use conformance::{CASES, Capabilities, Case, Endpoints, Fixture, FixtureError, Need, Verdict, check_without};
use connector_core::runtime::spawn;
use connector_core::{ClientConnector, Link, LinkEnd, async_trait};
use tokio::sync::{mpsc, oneshot};
use transport_web::{ClientConfig, LinkConfig, PortConnector, WebClient};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_sys::MessagePort;

use self::relay::Relays;

/// Engines that may wait to be accepted.
const BACKLOG: usize = 64;

const NO_BACK_PRESSURE: &str = "`postMessage` accepts every message, so a sender never waits";
const FLOOD: &str = "without back-pressure, a flood of unread messages ends the link";
const NUMBERS: &str = "a number above 2^53 is rounded when it becomes a value of JavaScript";

/// The cases that fail, and why.
const EXPECTED_FAILURES: &[(&str, &str)] = &[
    ("every_id_arrives_unchanged", NUMBERS),
    ("a_request_with_id_zero_is_answered", NUMBERS),
    ("large_messages_are_pushed_back", NO_BACK_PRESSURE),
    ("small_messages_are_pushed_back", NO_BACK_PRESSURE),
    ("accepted_messages_arrive_once_the_peer_reads", NO_BACK_PRESSURE),
    ("two_full_ends_do_not_deadlock", NO_BACK_PRESSURE),
    ("a_full_link_receives", NO_BACK_PRESSURE),
    ("a_link_with_unread_messages_sends", NO_BACK_PRESSURE),
    ("a_waiting_sender_is_woken", NO_BACK_PRESSURE),
    ("the_end_wakes_a_sender", NO_BACK_PRESSURE),
    ("a_cut_wakes_a_full_sender", NO_BACK_PRESSURE),
    ("a_plugin_cannot_flood_the_engines_log", FLOOD),
    ("an_engine_cannot_flood_the_plugins_log", FLOOD),
];

struct Ports;

#[async_trait]
impl Fixture for Ports {
    fn capabilities(&self) -> Capabilities {
        // Values are moved, not text. A link that never pushes back need not accept a million messages to show it.
        Capabilities::default().text(false).max_unread(1000).cut().stall().inject().count_connections()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let (connected, ports) = mpsc::channel(BACKLOG);
        let relays = Relays::default();
        let control = relays.clone();
        let connector = move || {
            let (relays, connected) = (relays.clone(), connected.clone());
            let open = move || {
                let (engine, plugin) = relays.open()?;
                connected.try_send(plugin).map_err(|_| "the plugin's end was dropped")?;
                Ok(engine)
            };
            PortConnector::new(open, LinkConfig::default())
        };
        Ok(Endpoints::new("port:probe", Accepting(ports), connector).control(control))
    }
}

/// A plugin's end with a port for each engine.
struct Accepting(mpsc::Receiver<MessagePort>);

#[async_trait]
impl ClientConnector for Accepting {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let over = LinkEnd::Closed { code: None, reason: String::new() };
        let port = self.0.recv().await.ok_or(over)?;
        WebClient::of_port(port, &ClientConfig::default()).accept().await
    }
}

/// The outcome of a case if it is not the expected one.
fn unexpected(name: &str, verdict: &Verdict) -> Option<String> {
    let reason = EXPECTED_FAILURES.iter().find(|(expected, _)| *expected == name).map(|(_, reason)| reason);
    match (verdict, reason) {
        (Verdict::Passed | Verdict::Skipped(_), None) | (Verdict::Failed(_), Some(_)) => None,
        (Verdict::Failed(failure), None) => Some(failure.to_string()),
        (Verdict::Passed | Verdict::Skipped(_), Some(reason)) => {
            Some(format!("{name} was expected to fail ({reason}) and did not: remove it from the list"))
        }
    }
}

#[wasm_bindgen_test]
async fn the_conformance_suite_passes() {
    let (done, failures) = oneshot::channel();
    // As a task, so that the page's events have their turn.
    let _task = spawn(async move {
        let mut failures = vec![];
        for case in CASES {
            let verdict = case.run(&Ports).await;
            console_log!("{case:?}: {verdict:?}");
            failures.extend(unexpected(case.name, &verdict));
        }
        let _ = done.send(failures);
    });
    let failures = failures.await.expect("the task ends");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[wasm_bindgen_test]
fn expected_failures_are_cases() {
    for (name, _) in EXPECTED_FAILURES {
        assert!(Case::find(name).is_some(), "no case is called {name}");
    }
}

#[wasm_bindgen_test]
fn skipped_cases_are_declared() {
    check_without(&Ports, &[Need::Text, Need::InjectRaw, Need::IdleConnections, Need::Silence]);
}
