//! Replicas that are stopped gracefully.

use std::time::Duration;

use connector_core::{CallError, PluginOptions, Refusal, Replicas};

use super::{Place, Program, named, options, shares, who, with_replicas};
use crate::support::{Host, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_replica_that_drains_completes_what_it_runs_and_takes_no_more() {
    let (host, mut programs) = with_replicas(&["a", "b"], PluginOptions::default()).await;
    let calls: Vec<_> = (0..10).map(|_| host.start::<String>("p", "work", (100,))).collect();
    settle().await;
    let stopping = tokio::spawn(async move {
        programs[0].stop().await;
        programs
    });
    settle().await;
    for _ in 0..3 {
        assert_eq!(soon(who(&host)).await, "b");
    }
    assert_eq!(shares(calls).await, [("a".to_owned(), 1), ("b".to_owned(), 9)].into());
    soon(stopping).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_plugin_all_of_whose_replicas_drain_is_refused() {
    let (host, mut programs) = with_replicas(&["a", "b"], options()).await;
    let calls: Vec<_> = (0..4).map(|_| host.start::<String>("p", "work", (100,))).collect();
    settle().await;
    for program in &mut programs {
        drop(program.stop.take());
    }
    settle().await;
    let refused = host.local.call::<String>("p", "who", ()).await.unwrap_err();
    assert!(matches!(&refused, CallError::Refused(why) if matches!(**why, Refusal::Stopping { .. })), "{refused:?}");
    assert_eq!(shares(calls).await.values().sum::<usize>(), 4);
    settle().await;
    let lost = host.local.call::<String>("p", "who", ()).await.unwrap_err();
    assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn restarting_one_replica_after_another_costs_no_call() {
    let host = Host::new().await;
    let (mut places, mut replicas) = (Vec::new(), Replicas::new("p"));
    for name in ["a", "b", "c"] {
        let (place, (program, connector)) = (Place::default(), Program::start(move || named(name)));
        place.leads_to(Some(connector));
        replicas = replicas.replica(name, "memory:", place.clone());
        places.push((name, place, program));
    }
    host.engine.register(replicas.options(PluginOptions::default().concurrency(4))).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    let local = host.local.clone();
    let load = tokio::spawn(async move {
        let mut calls = Vec::new();
        for number in 0..3000_u64 {
            let local = local.clone();
            calls.push(tokio::spawn(async move { local.call::<String>("p", "work", (number % 7,)).await }));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        calls
    });
    for (name, place, program) in &mut places {
        tokio::time::sleep(Duration::from_millis(300)).await;
        place.leads_to(None);
        program.stop().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let name = *name;
        let (again, connector) = Program::start(move || named(name));
        place.leads_to(Some(connector));
        *program = again;
    }
    let shares = shares(load.await.unwrap()).await;
    assert_eq!(shares.values().sum::<usize>(), 3000);
    assert!(shares.len() == 3 && shares.values().all(|share| *share > 500), "{shares:?}");
}
