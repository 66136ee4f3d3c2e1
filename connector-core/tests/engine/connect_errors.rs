//! How an activation handles connection attempts that fail, and links that end before their handshake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use connector_core::{
    ActivateError, CallError, ConnectError, ExternalProfile, Link, LinkEnd, LinkLost, LinkState, PluginConnector,
    PluginOptions, Registration, async_trait,
};

use crate::support::{Host, soon};

/// Fails every attempt, and counts them.
struct Fails(Arc<AtomicU32>, ConnectError);

#[async_trait]
impl PluginConnector for Fails {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(self.1.clone())
    }
}

/// How an activation ends whose attempts all fail with this error, and how many there were.
async fn activated(error: ConnectError) -> (ConnectError, u32) {
    let (host, attempts) = (Host::new().await, Arc::default());
    let options = PluginOptions::default().activation_timeout(Duration::from_secs(20));
    let registration = Registration::behind(ExternalProfile::new("far", "x:"), Fails(Arc::clone(&attempts), error));
    host.engine.register(registration.options(options)).unwrap();
    match host.engine.manager().activate("far").await.unwrap_err() {
        ActivateError::Connect { error, .. } => (error, attempts.load(Ordering::Relaxed)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_retryable_fails_an_activation_at_once() {
    for error in [ConnectError::Refused("no".to_owned()), ConnectError::given_up("no")] {
        assert!(!error.is_retryable());
        let text = error.to_string();
        let (error, attempts) = activated(error).await;
        assert_eq!((error.to_string(), attempts), (text, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn two_protocol_errors_in_a_row_fail_an_activation() {
    let (error, attempts) = activated(ConnectError::Protocol("not HTTP".to_owned())).await;
    assert!(matches!(error, ConnectError::Protocol(_)) && attempts == 2, "{error:?} after {attempts}");
}

#[tokio::test(start_paused = true)]
async fn other_errors_are_retried_until_the_activation_times_out() {
    for error in [ConnectError::TimedOut(Duration::from_secs(1)), ConnectError::failed("no route")] {
        assert!(error.is_retryable());
        let text = error.to_string();
        let (error, attempts) = activated(error).await;
        assert_eq!(error.to_string(), text);
        assert!(attempts > 2, "{error}: {attempts}");
    }
}

#[tokio::test(start_paused = true)]
async fn links_that_end_before_their_handshake_fail_an_activation_as_such() {
    let host = Host::new().await;
    let options = PluginOptions::default().activation_timeout(Duration::from_secs(20));
    let mut peers = host.register_scripted("far", options);
    let mut activated = host.start_activation("far");
    let error = loop {
        tokio::select! {
            ended = &mut activated => break ended.unwrap().unwrap_err(),
            mut peer = peers.next() => peer.close(),
        }
    };
    assert!(matches!(error, ActivateError::Link { .. }), "{error:?}");
    assert!(error.to_string().starts_with("the link to plugin \"far\" at "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_reports_why_it_stays_down_and_retries_after_a_refusal() {
    let host = Host::new().await;
    let switch = host.add(|| connector_core::Plugin::new("far").method("echo", |n: u8| async move { n })).await;
    let mut state = host.engine.link_state("far").unwrap();
    switch.refuse_connections(true);
    switch.cut();
    let refused = |state: &LinkState| matches!(state, LinkState::Down { why: LinkEnd::Unreachable(error), .. } if !error.is_retryable());
    soon(state.wait_for(refused)).await.unwrap();
    let CallError::LinkLost(lost) = host.local.call::<u8>("far", "echo", (1,)).await.unwrap_err() else { panic!() };
    assert!(
        matches!(*lost, LinkLost::Observed { end: LinkEnd::Unreachable(ConnectError::Refused(_)), .. }),
        "{lost:?}"
    );
    assert_eq!(lost.to_string(), "the link to \"far\" was lost: unreachable: the transport is switched off");
    switch.refuse_connections(false);
    soon(state.wait_for(LinkState::is_up)).await.unwrap();
    assert_eq!(host.local.call::<u8>("far", "echo", (1,)).await.unwrap(), 1);
}
