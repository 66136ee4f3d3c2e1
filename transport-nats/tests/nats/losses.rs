//! The server is killed and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use connector_core::{CallError, Rest};

use crate::support::{Replica, broker, config, engine, until_it_answers, within};

#[tokio::test]
async fn a_server_is_killed_and_restarted_under_load() {
    let mut broker = broker();
    let _replica = Replica::start(config(&broker)).await;
    let (engine, local) = engine(config(&broker)).await;
    let events = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&events);
    local
        .on("probe", "rang", move |_: Rest| {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    for round in 0..3 {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = (0..16).map(|caller| {
            let (local, stop) = (local.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut answered, mut lost) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let number = caller * 1_000_000 + answered + lost;
                    // Each call ends once, with its own result or as lost.
                    match within(local.call::<i64>("probe", "add", (number, 1))).await {
                        Ok(sum) => {
                            assert_eq!(sum, number + 1);
                            answered += 1;
                        }
                        Err(CallError::LinkLost { .. }) => {
                            lost += 1;
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                (answered, lost)
            })
        });
        let callers: Vec<_> = callers.collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        broker.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        broker.restart().unwrap();
        until_it_answers(&local).await;
        stop.store(true, Ordering::Relaxed);
        let mut all_lost = 0;
        for caller in callers {
            let (answered, lost) = within(caller).await.unwrap();
            assert!(answered > 0, "round {round}");
            all_lost += lost;
        }
        assert!(all_lost > 0, "the server's end was not noticed");
        let before = events.load(Ordering::Relaxed);
        assert!(within(local.call::<bool>("probe", "fire", ("rang", 1))).await.unwrap());
        within(async {
            while events.load(Ordering::Relaxed) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(events.load(Ordering::Relaxed), before + 1);
    }
    within(engine.shutdown()).await;
}

#[tokio::test]
async fn a_close_ends_when_the_server_does() {
    let mut broker = broker();
    let _replica = Replica::start(config(&broker)).await;
    let (engine, _local) = engine(config(&broker)).await;
    // The close is not answered.
    broker.freeze();
    let closing = tokio::spawn(async move { engine.shutdown().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!closing.is_finished());
    broker.kill();
    within(closing).await.unwrap();
}
