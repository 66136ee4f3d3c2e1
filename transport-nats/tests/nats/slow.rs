//! An engine that lives and reads nothing.

use std::future::poll_fn;
use std::time::Duration;

use conformance::links::emit;
use connector_core::{ClientConnector, LinkEnd, Payload};
use futures_util::{FutureExt, StreamExt};
use transport_nats::NatsServer;

use crate::support::{broker, config, within};

/// Each probe is answered, and nothing acknowledged.
#[tokio::test]
async fn an_engine_that_reads_nothing_loses_its_link() {
    let broker = broker();
    let foreign = async_nats::connect(broker.url()).await.unwrap();
    let limit = Duration::from_secs(1);
    let config = config(&broker).silence(limit).probe_interval(limit / 5);
    let mut server = NatsServer::bind("probe", config).await.unwrap();
    let (up, down) = ("plugins.probe.session.a.up", "plugins.probe.session.a.down");
    let mut frames = foreign.subscribe(up).await.unwrap();
    let open = r#"{"open":{"version":1,"maxMessage":16777216,"window":1048576,"maxPayload":1048576}}"#;
    foreign.publish_with_reply("plugins.probe.open", up, open.into()).await.unwrap();
    let mut link = within(server.accept()).await.unwrap();
    link.handshake_completed();
    let answering = async {
        let mut answered = 0;
        while let Some(frame) = frames.next().await {
            match frame.payload[0] {
                3 => {
                    answered += 1;
                    foreign.publish(down, [&[2][..], &[0; 16]].concat().into()).await.unwrap();
                }
                6 => break,
                _ => {}
            }
        }
        answered
    };
    let stalling = async {
        link.send(emit(1, Payload::new("x".repeat(4 << 20)))).unwrap();
        // Sends what it may.
        assert!(poll_fn(|cx| link.poll_flush(cx)).now_or_never().is_none());
        let sent = link.traffic().sent;
        let end = poll_fn(|cx| link.poll_message(cx)).await.unwrap_err();
        assert_eq!(link.traffic().sent, sent, "probes are no progress");
        end
    };
    let (answered, end) = within(async { tokio::join!(answering, stalling) }).await;
    assert!(matches!(end, LinkEnd::TooSlow(time) if time == limit), "{end:?}");
    assert!(answered > 1);
}
