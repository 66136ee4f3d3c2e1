//! How a plugin ends: by a panic, on its own, or on request.
#![cfg(feature = "plugin")]

mod support;

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use connector_core::{ActivateError, CallError, Context, LinkEnd, LinkLost, LinkState, Plugin};
use support::{Host, LIMIT, MOMENT, PLACEMENTS, placed, threads, until_threads};
use tokio::sync::Notify;
use tokio::time::timeout;
use transport_worker::{Placement, WorkerConfig};

fn lost(error: &CallError) -> String {
    let CallError::LinkLost(lost) = error else { panic!("{error:?}") };
    let LinkLost::Observed { end: LinkEnd::Lost(error), .. } = &**lost else { panic!("{lost:?}") };
    error.to_string()
}

#[tokio::test]
async fn a_methods_panic_is_the_error_of_its_call() {
    for placement in PLACEMENTS {
        let made = Arc::new(AtomicUsize::new(0));
        let makes = Arc::clone(&made);
        let host = Host::with("p", placed(placement), move || {
            makes.fetch_add(1, Ordering::Relaxed);
            Plugin::new("p")
                .method("one", || async { 1 })
                .method("panic", |text: String| async move { if text.is_empty() { 1 } else { panic!("{text}") } })
        })
        .await;
        let error = host.local.call::<i64>("p", "panic", ("ouch".to_owned(),)).await.unwrap_err();
        assert!(matches!(&error, CallError::Plugin(fault) if fault.to_string().contains("ouch")), "{error:?}");
        assert_eq!(host.local.call::<i64>("p", "one", ()).await.unwrap(), 1);
        assert_eq!(made.load(Ordering::Relaxed), 1, "the plugin continues");
    }
}

#[tokio::test]
async fn a_panicking_plugin_loses_its_link_and_is_restarted() {
    for placement in PLACEMENTS {
        let (panics, made) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (when, makes) = (Arc::clone(&panics), Arc::clone(&made));
        let host = Host::with("hooked", placed(placement), move || {
            makes.fetch_add(1, Ordering::Relaxed);
            let when = Arc::clone(&when);
            Plugin::new("hooked")
                .method("hang", || async { pending::<()>().await })
                .method("one", || async { 1 })
                .on_activation(move |_| {
                    let when = Arc::clone(&when);
                    async move {
                        when.notified().await;
                        panic!("a hook of {}", "glass")
                    }
                })
        })
        .await;
        host.engine.manager().activate("hooked").await.unwrap();
        for round in 1..4 {
            let local = host.local.clone();
            let hangs = tokio::spawn(async move { local.call::<()>("hooked", "hang", ()).await.unwrap_err() });
            assert_eq!(host.local.call::<i64>("hooked", "one", ()).await.unwrap(), 1);
            panics.notify_one();
            let why = lost(&timeout(LIMIT, hangs).await.expect("its call hangs").unwrap());
            assert!(why.contains("a hook of glass"), "{why}");
            host.until("hooked", LinkState::is_up).await;
            assert_eq!(made.load(Ordering::Relaxed), round + 1);
            let count = usize::from(placement == Placement::Thread);
            until_threads("hooked", count, MOMENT).await;
        }
    }
}

#[tokio::test]
async fn a_panic_while_making_the_plugin_is_retried() {
    for placement in PLACEMENTS {
        let asked = Arc::new(AtomicUsize::new(0));
        let asks = Arc::clone(&asked);
        let make = move || match asks.fetch_add(1, Ordering::Relaxed) {
            0..3 => panic!("no database"),
            _ => Plugin::new("p").method("one", || async { 1 }),
        };
        let host = Host::with("p", placed(placement), make).await;
        assert_eq!(host.local.call::<i64>("p", "one", ()).await.unwrap(), 1);
        assert_eq!(asked.load(Ordering::Relaxed), 4);

        host.register("never", placed(placement), || panic!("no {}", "library"));
        let error = host.engine.manager().activate("never").await.unwrap_err();
        assert!(matches!(&error, ActivateError::Link { end, .. } if end.to_string().contains("no library")), "{error}");
        until_threads("never", 0, MOMENT).await;
    }
}

#[tokio::test]
async fn a_disconnecting_plugin_closes_its_link_and_is_restarted() {
    for placement in PLACEMENTS {
        let host = Host::with("leaves", placed(placement), || {
            Plugin::new("leaves").method("leave", |ctx: Context| async move {
                ctx.client().disconnect();
                pending::<()>().await
            })
        })
        .await;
        for _ in 0..3 {
            let error = host.local.call::<()>("leaves", "leave", ()).await.unwrap_err();
            let CallError::LinkLost(lost) = &error else { panic!("{error:?}") };
            assert!(matches!(&**lost, LinkLost::Observed { end: LinkEnd::Closed { .. }, .. }), "{lost:?}");
            host.until("leaves", LinkState::is_up).await;
        }
        host.engine.shutdown().await;
        until_threads("leaves", 0, MOMENT).await;
    }
}

/// Everything that the plugin held is dropped by then, too.
#[tokio::test]
async fn a_deactivation_ends_the_plugin_and_joins_its_thread() {
    struct Held(Arc<AtomicUsize>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    for placement in PLACEMENTS {
        let held = Arc::new(AtomicUsize::new(0));
        let holds = Arc::clone(&held);
        let name = "the plugin's own thread";
        let host = Host::with(name, placed(placement), move || {
            holds.fetch_add(1, Ordering::Relaxed);
            let held = Arc::new(Held(Arc::clone(&holds)));
            Plugin::new(name)
                .method("name", move || {
                    let name = std::thread::current().name().unwrap().to_owned();
                    // Keeps `held` alive for as long as the method exists.
                    let _ = &held;
                    async { name }
                })
                .method("hang", || async { pending::<()>().await })
        })
        .await;
        for _ in 0..50 {
            let thread: String = host.local.call(name, "name", ()).await.unwrap();
            assert_eq!(thread == name, placement == Placement::Thread, "{thread}");
            assert_eq!(held.load(Ordering::Relaxed), 1);
            assert_eq!(threads(name), usize::from(thread == name && cfg!(target_os = "linux")));
            let local = host.local.clone();
            let hangs = tokio::spawn(async move { local.call::<()>(name, "hang", ()).await });
            tokio::task::yield_now().await;
            timeout(LIMIT, host.engine.manager().deactivate(name)).await.unwrap().unwrap();
            assert_eq!(held.load(Ordering::Relaxed), 0);
            until_threads(name, 0, MOMENT).await;
            hangs.await.unwrap().unwrap_err();
        }
    }
}

#[tokio::test]
async fn dropping_the_engine_ends_its_plugin() {
    for placement in PLACEMENTS {
        let ended = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&ended);
        let make = move || {
            let ends = Arc::clone(&ends);
            Plugin::new("dropped").method("one", || async { 1 }).on_deactivation(move |_| {
                let ends = Arc::clone(&ends);
                async move { ends.store(true, Ordering::Relaxed) }
            })
        };
        let host = Host::with("dropped", placed(placement), make).await;
        host.local.call::<i64>("dropped", "one", ()).await.unwrap();
        drop(host);
        until_threads("dropped", 0, LIMIT).await;
        let ended = async {
            while !ended.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, ended).await.expect("its hook did not run");
    }
    // A thread does not outlive the engine's runtime either.
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let host = runtime.block_on(async {
            let host = Host::with("orphan", placed(Placement::Thread), || {
                Plugin::new("orphan").method("one", || async { 1 }).on_deactivation(|_| pending())
            });
            let host = host.await;
            host.local.call::<i64>("orphan", "one", ()).await.unwrap();
            host
        });
        drop(runtime);
        drop(host);
    })
    .join()
    .unwrap();
    until_threads("orphan", 0, LIMIT).await;
}

/// The function that makes the plugin blocks, and the caller does not wait for the activation.
#[tokio::test]
async fn an_abandoned_activation_leaves_no_thread() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let host = Host::with("slow", WorkerConfig::default(), move || {
        let _ = wait.lock().unwrap().recv();
        Plugin::new("slow")
    })
    .await;
    let manager = host.engine.manager();
    timeout(Duration::from_millis(50), manager.activate("slow")).await.unwrap_err();
    until_threads("slow", 1, LIMIT).await;
    // Dropping its future does not cancel it.
    timeout(LIMIT, manager.deactivate("slow")).await.unwrap().unwrap();
    drop(release);
    until_threads("slow", 0, LIMIT).await;
    timeout(LIMIT, manager.activate("slow")).await.unwrap().unwrap();
}

/// Code that blocks on a blocking thread of the plugin's runtime ends when its call does.
#[tokio::test]
async fn blocking_code_that_calls_back_ends_with_its_link() {
    let host = Host::with("calls back", WorkerConfig::default(), || {
        Plugin::new("calls back").method("ask", |ctx: Context| async move {
            let runtime = tokio::runtime::Handle::current();
            let work = tokio::task::spawn_blocking(move || {
                while runtime
                    .block_on(ctx.client().call::<(usize, String)>("local", "where", ("x".to_owned(),)))
                    .is_ok()
                {}
            });
            let _ = work.await;
        })
    })
    .await;
    let local = host.local.clone();
    let asks = tokio::spawn(async move { local.call::<()>("calls back", "ask", ()).await });
    until_threads("calls back", 2, LIMIT).await;
    timeout(LIMIT, host.engine.manager().deactivate("calls back")).await.unwrap().unwrap();
    until_threads("calls back", 0, MOMENT).await;
    asks.await.unwrap().unwrap_err();
}
