//! A peer that never performs the plugin handshake does not keep its link.

use std::time::Duration;

use conformance::memory_pair;
use connector_core::{ClientConfig, LinkEnd, Plugin, connect};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_link_without_a_handshake_is_closed() {
    for (config, limit) in
        [(ClientConfig::default(), 10), (ClientConfig::default().handshake_timeout(Duration::from_secs(3)), 3)]
    {
        let (mut engine, plugin) = memory_pair();
        let (_client, running) = connect(plugin, Plugin::new("p"), config);
        let running = tokio::spawn(running);
        let start = Instant::now();
        let mut closed = None;
        while closed.is_none() {
            closed = std::future::poll_fn(|cx| engine.poll_message(cx)).await.err();
        }
        assert_eq!(start.elapsed().as_secs(), limit);
        assert!(matches!(closed, Some(LinkEnd::Closed { .. })), "{closed:?}");
        drop(engine);
        let end = running.await.unwrap();
        assert!(matches!(end, LinkEnd::NoHandshake(time) if time.as_secs() == limit), "{end:?}");
    }
}
