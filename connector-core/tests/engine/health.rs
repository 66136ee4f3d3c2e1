//! Liveness checks, and connectors that give up.

use std::time::Duration;

use connector_core::{
    CallError, ConnectError, ExternalProfile, Link, LinkEnd, LinkLost, LinkState, PluginConnector, PluginOptions,
    Registration, async_trait,
};
use serde_json::json;

use crate::support::{Host, settle};

#[tokio::test(start_paused = true)]
async fn an_unresponsive_plugin_loses_its_link() {
    let host = Host::new().await;
    let options = PluginOptions::default().health_interval(Duration::from_secs(60));
    let (mut peer, mut peers) = host.add_scripted_with(options, "probe", &["echo"], false).await;
    for _ in 0..3 {
        assert!(peer.all().await.is_empty());
        tokio::time::sleep(Duration::from_secs(60)).await;
        let asked = peer.recv().await;
        assert_eq!(asked["key"], "handshake");
        peer.answer(&asked, json!(["echo"]));
        settle().await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(peer.recv().await["key"], "handshake");
    let state = host.engine.link_state("probe").unwrap();
    assert!(state.borrow().is_up(), "it has five seconds to answer");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(peer.has_ended());
    peers.next().await.answer_handshake(&["echo"], false).await;
    assert!(state.borrow().is_up(), "dialled again");
}

/// Provides one link whose peer is gone, and then no more.
struct GivesUp {
    activations: u32,
}

#[async_trait]
impl PluginConnector for GivesUp {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        Err(ConnectError::given_up(format!("tried in {} activations", self.activations)))
    }

    fn activated(&mut self) {
        self.activations += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_gives_up_fails_the_current_activation() {
    let host = Host::new().await;
    let registration = Registration::behind(ExternalProfile::new("gone", "x:"), GivesUp { activations: 0 });
    host.engine.register(registration).unwrap();
    for activations in 1..3 {
        let error = host.engine.manager().activate("gone").await.unwrap_err().to_string();
        assert!(error.contains(&format!("gave up: tried in {activations} activations")), "{error}");
    }
}

/// Provides one working link, then gives up.
struct OnlyOnce(Option<Box<dyn Link>>);

#[async_trait]
impl PluginConnector for OnlyOnce {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        self.0.take().ok_or(ConnectError::given_up("it crashes too often"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_given_up_link_stays_down_with_its_reason() {
    let host = Host::new().await;
    let (mut peer, link) = crate::scripted_peer::scripted_link();
    let registration = Registration::behind(ExternalProfile::new("frail", "x:"), OnlyOnce(Some(link)));
    host.engine.register(registration).unwrap();
    let activated = host.start_activation("frail");
    peer.answer_handshake(&["echo"], false).await;
    activated.await.unwrap().unwrap();
    peer.close();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let state = host.engine.link_state("frail").unwrap();
    assert!(matches!(&*state.borrow(), LinkState::Down { why, tries: 1 } if why.to_string().contains("crashes")));
    let error = host.local.call::<u8>("frail", "echo", ()).await.unwrap_err();
    let CallError::LinkLost(lost) = error else { panic!("{error:?}") };
    assert!(matches!(*lost, LinkLost::Observed { end: LinkEnd::Unreachable(ConnectError::GivenUp(_)), .. }));
    host.engine.manager().deactivate("frail").await.unwrap();
    assert!(matches!(*state.borrow(), LinkState::Inactive));
}
