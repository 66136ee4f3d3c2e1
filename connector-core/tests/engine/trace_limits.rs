//! A peer cannot flood the log by making the host's code panic, or by connecting again and again.

use std::time::Duration;

use conformance::traces;
use connector_core::{
    Access, ClientConfig, ClientConnector, Engine, Link, LinkEnd, Operation, Plugin, PluginOptions, Policy, Profile,
    QueueLimits, async_trait, serve,
};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::Level;

use crate::scripted_peer::scripted_link;
use crate::support::{Host, settle};

/// Per second and plugin.
const LIMIT: usize = 10;

struct Panics;

#[async_trait]
impl Policy for Panics {
    async fn can_call(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> bool {
        panic!("of the policy")
    }
    async fn can_activate(&self, from: &Profile, _: &Profile, _: Option<&str>) -> bool {
        assert!(from.name == "manager", "of the policy");
        true
    }
}

#[tokio::test(start_paused = true)]
async fn panics_of_rules_and_policies_are_traced_at_a_limited_rate() {
    let rule = |access: &Access<'_>| {
        assert!(!matches!(access.operation, Operation::Call { method: "m", .. }), "of the rule");
        true
    };
    let host = Host::with(Engine::builder().policy(Panics).access_rule("rule", rule).build()).await;
    host.engine.register(Plugin::new("inactive")).unwrap();
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    for (name, key, payload, text) in [
        ("local", "m", json!([]), "an access rule panicked"),
        ("manager", "canCall", json!(["a", "b", "m"]), "the policy's can_call panicked"),
        ("manager", "activatePlugin", json!(["inactive"]), "the policy's can_activate panicked"),
    ] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let traces = traces(Level::WARN);
        for id in 0..1000 {
            peer.send(json!({"action": "request", "id": id, "name": name, "key": key, "payload": payload}));
            peer.recv().await;
        }
        assert_eq!(traces.containing(text).len(), LIMIT, "{text}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        traces.clear();
        peer.send(json!({"action": "request", "id": 1000, "name": name, "key": key, "payload": payload}));
        peer.recv().await;
        let lines = traces.containing(text);
        assert!(lines.len() == 1 && lines[0].contains("left_out=990"), "{lines:?}");
    }
}

/// A server of links that the test makes.
struct Links(mpsc::UnboundedReceiver<Box<dyn Link>>);

#[async_trait]
impl ClientConnector for Links {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.0.recv().await.ok_or(LinkEnd::Disconnected)
    }
}

#[tokio::test(start_paused = true)]
async fn engines_that_connect_again_and_again_cause_few_traces() {
    let (connect, links) = mpsc::unbounded_channel();
    tokio::spawn(serve(Links(links), || Plugin::new("p"), ClientConfig::default()));
    let traces = traces(Level::WARN);
    for _ in 0..100 {
        let (mut engine, link) = scripted_link();
        connect.send(link).unwrap();
        for _ in 0..20 {
            engine.send_text("junk");
        }
        settle().await;
        engine.close();
        settle().await;
    }
    let lines = traces.lines();
    assert!((LIMIT..=LIMIT + 1).contains(&lines.len()), "{} lines: {lines:?}", lines.len());
}

#[tokio::test(start_paused = true)]
async fn panics_of_a_factory_or_hook_are_traced_at_a_limited_rate() {
    for (factory, text) in [(true, "the function that `serve` was given"), (false, "the plugin panicked")] {
        let (connect, links) = mpsc::unbounded_channel();
        let make = move || {
            assert!(!factory, "of the factory");
            Plugin::new("p").on_activation(|_| async { panic!("of the hook") })
        };
        tokio::spawn(serve(Links(links), make, ClientConfig::default()));
        let traces = traces(Level::WARN);
        for _ in 0..100 {
            let (engine, link) = scripted_link();
            connect.send(link).unwrap();
            engine.send(json!({"action": "request", "id": 0, "key": "handshake", "name": "p", "payload": ["p"]}));
            settle().await;
        }
        assert_eq!(traces.containing(text).len(), LIMIT, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_ends_after_each_handshake_is_traced_at_a_limited_rate() {
    let host = Host::new().await;
    let short = Duration::from_millis(1);
    let options = PluginOptions::default().reconnect_delay(short, short);
    let (mut peer, mut peers) = host.add_scripted_with(options, "far", &[], false).await;
    let traces = traces(Level::INFO);
    let (began, mut links) = (tokio::time::Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(900) {
        peer.close();
        peer = peers.next().await;
        peer.answer_handshake(&[], false).await;
        links += 1;
    }
    let lines = traces.containing("the link is");
    assert!(links > LIMIT && lines.len() <= LIMIT, "{links} links, {} lines: {lines:?}", lines.len());
}

/// No further warning would say so.
#[tokio::test(start_paused = true)]
async fn the_number_of_traces_left_out_is_traced_when_the_plugin_is_deactivated_or_dropped() {
    let rule = |access: &Access<'_>| {
        assert!(!matches!(access.operation, Operation::Call { .. }), "of the rule");
        true
    };
    for deactivates in [true, false] {
        let engine = Engine::builder().access_rule("rule", rule).build();
        let local = engine.register(Plugin::new("local")).unwrap();
        engine.manager().activate("local").await.unwrap();
        let traces = traces(Level::WARN);
        for _ in 0..100 {
            local.call::<()>("local", "m", ()).await.unwrap_err();
        }
        assert_eq!(traces.lines().len(), LIMIT);
        traces.clear();
        if deactivates {
            engine.manager().deactivate("local").await.unwrap();
        }
        drop((local, engine));
        settle().await;
        let lines = traces.lines();
        assert!(lines.len() == 1 && lines[0].contains("plugin=\"local\" left_out=90"), "{lines:?}");
    }
}

/// The limits of a link's own traces as well: here the events that are dropped in front of it.
#[tokio::test(start_paused = true)]
async fn the_number_of_dropped_events_left_out_is_traced_when_the_plugin_is_deactivated() {
    let host = Host::new().await;
    let options = PluginOptions::default().queue(QueueLimits::default().max_messages(8));
    let (peer, _peers) = host.add_scripted_with(options, "far", &[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    let traces = traces(Level::WARN);
    // Beyond the 64 that the link accepts.
    for number in 0..200 {
        host.local.emit("e", (number,)).await.unwrap();
    }
    assert_eq!(traces.lines().len(), 1);
    host.engine.manager().deactivate("far").await.unwrap();
    let lines = traces.containing("traces over the limit were left out");
    assert!(lines.len() == 1 && lines[0].contains("plugin=\"far\""), "{lines:?}");
}
