//! A plugin may be code that blocks.
#![cfg(feature = "plugin")]

mod support;

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use connector_core::{CallError, Context, Plugin};
use support::{Host, LIMIT, PLACEMENTS, placed};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use transport_worker::{Placement, WorkerConfig};

/// The engine has one thread: were it held up, nothing could release the method.
#[tokio::test]
async fn a_method_that_blocks_its_thread_holds_up_nobody_else() {
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

/// As the crate's documentation says.
#[tokio::test]
async fn code_that_blocks_calls_back() {
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
