//! Replicas and an engine that reach the server over a long way, which breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conformance::{Control, Proxy, delayed_tcp};
use connector_core::{CallError, PluginClient};
use futures_util::future::join_all;

use crate::broker::Broker;
use crate::programs::within;
use crate::replicas::{Host, NAMES, probe, restart_one_after_the_other, start};

/// The way to the server, one way: a call passes it four times.
const DELAY: Duration = Duration::from_millis(50);

/// The server's URL for everybody beyond the way, and the control over it.
async fn distant(broker: &Broker) -> (String, Proxy) {
    let (proxy, near) = Proxy::tcp(broker.address(), |frame| frame.as_bytes().to_vec()).await.unwrap();
    (format!("nats://{}", delayed_tcp(near, DELAY).await.unwrap()), proxy)
}

/// Sixteen callers, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<(i64, i64)>>,
}

impl Load {
    fn start(local: &PluginClient) -> Load {
        let stop = Arc::<AtomicBool>::default();
        let callers = (0..16).map(|caller| tokio::spawn(call(local.clone(), caller * 1_000_000, Arc::clone(&stop))));
        Load { callers: callers.collect(), stop }
    }

    /// How many calls were answered, and how many were lost.
    async fn stop(self) -> (i64, i64) {
        self.stop.store(true, Ordering::Relaxed);
        let counts = within(join_all(self.callers)).await.into_iter().map(Result::unwrap);
        counts.fold((0, 0), |(answered, lost), counts| (answered + counts.0, lost + counts.1))
    }
}

/// Each call ends once, with its own result or as lost.
async fn call(local: PluginClient, first: i64, stop: Arc<AtomicBool>) -> (i64, i64) {
    let (mut answered, mut lost) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let number = first + answered + lost;
        match within(local.call::<i64>("probe", "add", (number, 1))).await {
            Ok(sum) => {
                assert_eq!(sum, number + 1);
                answered += 1;
            }
            Err(CallError::LinkLost(_)) => {
                lost += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    (answered, lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_over_a_long_way_costs_no_call() {
    let broker = Broker::start().unwrap();
    let (url, _proxy) = distant(&broker).await;
    restart_one_after_the_other(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_come_back_after_the_server_or_the_way_to_it_has_failed() {
    let mut broker = Broker::start().unwrap();
    let (url, proxy) = distant(&broker).await;
    let _programs = start(&url);
    let host = Host::start(probe(&url)).await;
    host.until_all_run(&NAMES).await;
    for fault in ["the server is killed", "the way is cut", "the way is cut, and the server is killed"] {
        let load = Load::start(&host.local);
        tokio::time::sleep(6 * DELAY).await;
        if fault.contains("cut") {
            proxy.cut();
        }
        if fault.contains("killed") {
            broker.kill();
        }
        tokio::time::sleep(6 * DELAY).await;
        if fault.contains("killed") {
            broker.restart().unwrap();
        }
        proxy.heal();
        host.until_all_run(&NAMES).await;
        let (answered, lost) = load.stop().await;
        assert!(answered > 0 && lost > 0, "{fault}: {answered} answered, {lost} lost");
    }
    within(host.engine.shutdown()).await;
}
