//! A plugin's queue: order, bounds, time limits.

use std::time::Duration;

use connector_core::{CallError, Context, Plugin, PluginOptions, Refusal};
use tokio::time::Instant;

use serde_json::json;

use crate::support::{Host, Notes, settle};

/// Methods that record their start and end, and take a second.
fn worker(notes: &Notes) -> Plugin {
    let job = |notes: Notes| {
        move |what: String| {
            let notes = notes.clone();
            async move {
                notes.add(format!("{what} starts"));
                tokio::time::sleep(Duration::from_secs(1)).await;
                notes.add(format!("{what} ends"));
            }
        }
    };
    Plugin::new("worker").method("job", job(notes.clone())).method("quick", job(notes.clone()))
}

async fn with(options: PluginOptions) -> (Host, Notes) {
    let (host, notes) = (Host::new().await, Notes::default());
    host.engine.register(worker(&notes).options(options)).unwrap();
    (host, notes)
}

fn one(name: &str) -> (String,) {
    (name.to_owned(),)
}

#[tokio::test(start_paused = true)]
async fn an_infinite_limit_is_no_limit() {
    let (host, _) = with(PluginOptions::default().queue_timeout(Duration::MAX)).await;
    host.start::<()>("worker", "job", one("a")).await.unwrap().unwrap();
}

/// What the documentation of `PluginOptions::queue_timeout` says.
#[tokio::test]
async fn a_method_that_blocks_its_thread_past_the_limit_ends_with_its_result() {
    const LIMIT: Duration = Duration::from_millis(50);
    let host = Host::new().await;
    let blocks = |ms: u64| async move {
        std::thread::sleep(Duration::from_millis(ms));
        ms
    };
    let waits = || std::future::pending::<()>();
    let plugin = Plugin::new("p").method("blocks", blocks).method("waits", waits);
    host.engine.register(plugin.options(PluginOptions::default().queue_timeout(LIMIT))).unwrap();
    assert_eq!(host.local.call::<u64>("p", "blocks", (2 * LIMIT.as_millis() as u64,)).await.unwrap(), 100);
    let error = host.local.call::<()>("p", "waits", ()).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut(_)), "one that awaits is limited: {error:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_run_one_at_a_time_in_order() {
    let (host, notes) = with(PluginOptions::default()).await;
    let calls: Vec<_> = ["a", "b", "c"].map(|name| host.start::<()>("worker", "job", one(name))).into();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(notes.take(), ["a starts", "a ends", "b starts", "b ends", "c starts", "c ends"]);
}

#[tokio::test(start_paused = true)]
async fn calls_run_one_at_a_time_behind_a_link_too() {
    let (host, notes) = (Host::new().await, Notes::default());
    let plugin = worker(&notes);
    host.add(move || plugin.clone()).await;
    let calls: Vec<_> = ["a", "b"].map(|name| host.start::<()>("worker", "job", one(name))).into();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(notes.take(), ["a starts", "a ends", "b starts", "b ends"]);
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_the_number_of_concurrent_calls() {
    let (host, notes) = with(PluginOptions::default().concurrency(2)).await;
    let _calls: Vec<_> = ["a", "b", "c"].map(|name| host.start::<()>("worker", "job", one(name))).into();
    settle().await;
    assert_eq!(notes.take(), ["a starts", "b starts"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(notes.take().last().unwrap(), "c starts");
}

#[tokio::test(start_paused = true)]
async fn a_method_with_its_own_lane_does_not_wait_for_others() {
    let (host, notes) = with(PluginOptions::default().method_concurrency("quick", 2)).await;
    let _jobs = ["a", "b"].map(|name| host.start::<()>("worker", "job", one(name)));
    let _quick = ["x", "y", "z"].map(|name| host.start::<()>("worker", "quick", one(name)));
    settle().await;
    assert_eq!(notes.take(), ["a starts", "x starts", "y starts"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_as_busy_and_frees_up() {
    let (host, _) = with(PluginOptions::default().queue_length(1)).await;
    let calls = ["a", "b"].map(|name| host.start::<()>("worker", "job", one(name)));
    settle().await;
    let error = host.local.call::<()>("worker", "job", one("c")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused(refusal) if matches!(**refusal, Refusal::Busy { waiting: 1, .. })),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "Cannot call job of worker from local, because worker is busy: 1 calls are waiting. Try again later."
    );
    for call in calls {
        call.await.unwrap().unwrap();
    }
    host.local.call::<()>("worker", "job", one("d")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_counts_from_the_start_of_the_run() {
    let (host, notes) = with(PluginOptions::default().queue_timeout(Duration::from_millis(1500))).await;
    let calls: Vec<_> = ["a", "b", "c"].map(|name| host.start::<()>("worker", "job", one(name))).into();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(notes.take().len(), 6, "c waited for longer than the limit");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_has_the_published_text_and_the_next_call_runs() {
    let (host, notes) = with(PluginOptions::default().queue_timeout(Duration::from_millis(500))).await;
    let began = Instant::now();
    let (first, second) = (host.start::<()>("worker", "job", one("a")), host.start::<()>("worker", "job", one("b")));
    let error = first.await.unwrap().unwrap_err();
    assert!(matches!(&error, CallError::TimedOut(_)));
    assert_eq!(error.to_string(), "[TIMEOUT] Timeout for call job from local");
    assert_eq!(began.elapsed(), Duration::from_millis(500));
    second.await.unwrap().unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(notes.take(), ["a starts", "b starts"], "the timed-out future was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_limit_counts_from_the_call() {
    let (host, notes) = with(PluginOptions::default()).await;
    let _first = host.start::<()>("worker", "job", one("a"));
    settle().await;
    let began = Instant::now();
    let limit = Duration::from_millis(700);
    let error = host.local.call_within::<()>(limit, "worker", "job", one("b")).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut(_)));
    assert_eq!(began.elapsed(), limit);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(notes.take(), ["a starts", "a ends"], "b was taken back while it waited");
}

#[tokio::test(start_paused = true)]
async fn a_handler_in_the_engine_knows_the_time_it_has_left() {
    let host = Host::new().await;
    let plugin = Plugin::new("p").method("left", |ctx: Context| async move {
        tokio::time::sleep(Duration::from_secs(4)).await;
        ctx.time_left().map(|left| left.as_secs())
    });
    host.engine.register(plugin.options(PluginOptions::default().queue_timeout(Duration::from_secs(9)))).unwrap();
    assert_eq!(host.local.call::<Option<u64>>("p", "left", ()).await.unwrap(), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_fills_the_queue_does_not_make_the_plugin_busy_for_others() {
    let (host, notes) = with(PluginOptions::default()).await;
    let (peer, _peers) = host.add_scripted("greedy", &[], false).await;
    for id in 0..1100 {
        peer.send(json!({"action": "request", "id": id, "name": "worker", "key": "job", "payload": ["greedy"]}));
    }
    settle().await;
    let began = Instant::now();
    host.local.call::<()>("worker", "job", one("modest")).await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(3), "it waited for its turn: {:?}", began.elapsed());
    assert_eq!(notes.take().iter().filter(|note| *note == "greedy starts").count(), 2, "its own turns");
}
