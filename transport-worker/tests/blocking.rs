//! Plugins that block their thread.
#![cfg(feature = "plugin")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use connector_core::{CallError, Context, Event, LinkState, Plugin, PluginOptions, Rest};
use support::{Host, LIMIT, PLACEMENTS, placed};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use transport_worker::{Placement, WorkerConfig, worker, worker_with};

/// The engine has one thread: if it were blocked too, nothing could release the method.
#[tokio::test]
async fn a_blocking_method_does_not_delay_other_plugins() {
    let (release, wait) = mpsc::channel::<i64>();
    let wait = Arc::new(Mutex::new(wait));
    let host = Host::with("blocks", WorkerConfig::default(), move || {
        let wait = Arc::clone(&wait);
        Plugin::new("blocks").method("wait", move || {
            let received = wait.lock().unwrap().recv().unwrap();
            async move { received }
        })
    })
    .await;
    host.register("other", placed(Placement::Thread), || Plugin::new("other").method("one", || async { 1 }));
    host.register("beside", placed(Placement::Task), || Plugin::new("beside").method("one", || async { 1 }));
    let local = host.local.clone();
    let blocked = tokio::spawn(async move { local.call::<i64>("blocks", "wait", ()).await });
    for name in ["other", "beside", "other"] {
        assert_eq!(timeout(LIMIT, host.local.call::<i64>(name, "one", ())).await.unwrap().unwrap(), 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!blocked.is_finished());
    release.send(42).unwrap();
    assert_eq!(timeout(LIMIT, blocked).await.unwrap().unwrap().unwrap(), 42);
}

/// The pattern from the crate's documentation.
#[tokio::test]
async fn blocking_code_can_call_back() {
    for placement in PLACEMENTS {
        let host = Host::with("p", placed(placement), || {
            Plugin::new("p")
                .method("ask", |ctx: Context, times: usize| async move {
                    let runtime = Handle::current();
                    let work = spawn_blocking(move || {
                        for _ in 0..times {
                            std::thread::sleep(Duration::from_millis(1));
                            let text = "x".to_owned();
                            runtime.block_on(ctx.client().call::<(usize, String)>("local", "where", (text,)))?;
                        }
                        Ok::<_, CallError>(times)
                    });
                    work.await.map_err(|panic| panic.to_string())?.map_err(|error| error.to_string())
                })
                .method("one", || async { 1 })
        })
        .await;
        let asks = host.local.call::<usize>("p", "ask", (20,));
        let meanwhile = host.local.call::<i64>("p", "one", ());
        let (asked, one) = timeout(LIMIT, async { tokio::join!(asks, meanwhile) }).await.expect("it hangs");
        assert_eq!((asked.unwrap(), one.unwrap()), (20, 1));
    }
}

fn frequent_health_checks() -> PluginOptions {
    let (short, answer) = (Duration::from_millis(100), Duration::from_secs(2));
    PluginOptions::default().health_interval(short).handshake_timeout(answer).queue_timeout(LIMIT)
}

/// It cannot answer health checks while it blocks its thread, which a call may do within its limit.
#[tokio::test]
async fn a_method_that_blocks_within_its_limit_keeps_its_link() {
    let (release, wait) = mpsc::channel::<()>();
    let (wait, made) = (Arc::new(Mutex::new(wait)), Arc::new(AtomicUsize::new(0)));
    let makes = Arc::clone(&made);
    let make = move || {
        let wait = Arc::clone(&wait);
        let number = makes.fetch_add(1, Ordering::Relaxed);
        Plugin::new("blocks").method("wait", move || {
            wait.lock().unwrap().recv().unwrap();
            async move { number }
        })
    };
    let host = Host::new().await;
    host.engine.register(worker("blocks", make).options(frequent_health_checks())).unwrap();
    host.engine.manager().activate("blocks").await.unwrap();
    let number = made.load(Ordering::Relaxed) - 1;
    let local = host.local.clone();
    let blocked = tokio::spawn(async move { local.call::<usize>("blocks", "wait", ()).await });
    // Longer than an idle plugin may stay silent.
    tokio::time::sleep(Duration::from_secs(4)).await;
    release.send(()).unwrap();
    assert_eq!(timeout(LIMIT, blocked).await.unwrap().unwrap().unwrap(), number);
}

/// No call allows for it, so it is detected, and its calls end.
#[tokio::test]
async fn a_thread_blocked_outside_a_call_is_detected() {
    let (release, wait) = mpsc::channel::<()>();
    // Blocks only once: the event is stored, and the restarted plugin receives it too.
    let wait = Arc::new(Mutex::new(Some(wait)));
    let make = move || {
        let wait = Arc::clone(&wait);
        Plugin::new("blocks").method("one", || async { 1 }).on_activation(move |client| {
            let wait = Arc::clone(&wait);
            async move {
                let blocks = move || {
                    let wait = wait.lock().unwrap().take();
                    wait.into_iter().for_each(|wait| wait.recv().unwrap());
                };
                client.on("local", "block", blocks).unwrap();
            }
        })
    };
    let host = Host::new().await;
    let config = WorkerConfig::default().exit_timeout(Duration::from_millis(100));
    host.engine.register(worker_with("blocks", make, config).options(frequent_health_checks())).unwrap();
    host.engine.manager().activate("blocks").await.unwrap();
    assert_eq!(host.local.call::<i64>("blocks", "one", ()).await.unwrap(), 1);
    let mut down = host.local.events("manager", "linkDown", 8).unwrap();
    host.local.emit("block", ()).await.unwrap();
    let Some(Event::Args(Rest(args))) = timeout(LIMIT, down.recv()).await.expect("it is not detected") else {
        panic!()
    };
    let why: String = args[1].clone().read().unwrap();
    assert!(why.starts_with("silent"), "{why}");
    release.send(()).unwrap();
    host.until("blocks", LinkState::is_up).await;
    assert_eq!(timeout(LIMIT, host.local.call::<i64>("blocks", "one", ())).await.unwrap().unwrap(), 1);
}
