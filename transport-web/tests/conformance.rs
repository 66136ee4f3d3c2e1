//! The conformance suite over message ports, in a page or a worker (`.ci/run web`).
#![cfg(all(target_family = "wasm", target_os = "unknown", feature = "client", feature = "plugin"))]

mod relay;

use conformance::{Capabilities, Endpoints, Fixture, FixtureError, Verdict, run_all};
use connector_core::{ClientConnector, Link, LinkEnd, async_trait};
use tokio::sync::mpsc;
use transport_web::{ClientConfig, LinkConfig, PortConnector, WebClient};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_sys::MessagePort;

use self::relay::Relays;

/// Engines that may wait to be accepted.
const BACKLOG: usize = 64;

const NO_BACK_PRESSURE: &str = "`postMessage` accepts every message";

/// The cases that fail, and why.
const EXPECTED_FAILURES: &[(&str, &str)] = &[
    ("large_messages_are_pushed_back", NO_BACK_PRESSURE),
    ("small_messages_are_pushed_back", NO_BACK_PRESSURE),
];

struct Ports;

#[async_trait]
impl Fixture for Ports {
    fn capabilities(&self) -> Capabilities {
        // Values are moved, not text.
        Capabilities::default().text(false).cut().stall().inject().count_connections()
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

#[wasm_bindgen_test]
async fn the_conformance_suite_passes() {
    let report = run_all(&Ports).await;
    console_log!("{report}");
    let mut unexpected = vec![];
    for (name, reason) in EXPECTED_FAILURES {
        match report.verdicts().find(|(case, _)| case.name == *name) {
            Some((_, Verdict::Failed(_))) => {}
            Some(_) => unexpected.push(format!("{name} was expected to fail ({reason}) and did not")),
            None => unexpected.push(format!("no case is called {name}")),
        }
    }
    let is_expected = |name: &str| EXPECTED_FAILURES.iter().any(|(expected, _)| *expected == name);
    let failed = report.verdicts().filter(|(case, verdict)| matches!(verdict, Verdict::Failed(_)) && !is_expected(case.name));
    unexpected.extend(failed.map(|(case, _)| format!("{} failed", case.name)));
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}
