//! What sessions cost that nobody uses.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};

use crate::support::{Replica, broker, config, engine, within};

#[tokio::test]
async fn an_idle_session_is_quiet() {
    let broker = broker();
    let _replica = Replica::start(config(&broker)).await;
    let (_engine, local) = engine(config(&broker)).await;
    assert_eq!(within(local.call::<i64>("probe", "add", (1, 2))).await.unwrap(), 3);
    let spy = async_nats::connect(broker.url()).await.unwrap();
    let mut frames = spy.subscribe("plugins.probe.session.>").await.unwrap();
    // What was read is reported, once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    while frames.next().now_or_never().is_some() {}
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut count = 0;
    while frames.next().now_or_never().is_some() {
        count += 1;
    }
    // At most a probe of each end and its answer, if this takes 5 s.
    assert!(count <= 4, "{count} frames in 2 s");
}
