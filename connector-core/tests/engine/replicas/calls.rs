//! Which replica runs a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connector_core::{CallError, CallOutcome, Choice, Context, Observation, Plugin, PluginOptions, Refusal, Replicas};

use super::{Program, named, options, shares, who, with, with_replicas};
use crate::support::{Host, Notes, settle, soon};

#[tokio::test(start_paused = true)]
async fn calls_that_take_equally_long_are_spread_evenly() {
    let (host, _programs) = with_replicas(&["a", "b", "c"], PluginOptions::default()).await;
    let mut all = Vec::new();
    for _ in 0..100 {
        all.extend((0..30).map(|_| host.start("p", "work", (5,))));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shares = shares(all).await;
    assert_eq!(shares.values().sum::<usize>(), 3000);
    assert!(shares.len() == 3 && shares.values().all(|share| (750..=1260).contains(share)), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_the_replica_with_the_least_to_do() {
    let (host, _programs) = with_replicas(&["a", "b", "c"], options()).await;
    let turns = [who(&host).await, who(&host).await, who(&host).await, who(&host).await];
    assert_eq!(turns[0], turns[3], "each in turn: {turns:?}");
    assert!(turns[0] != turns[1] && turns[1] != turns[2] && turns[0] != turns[2], "{turns:?}");
    let long: Vec<_> = (0..2).map(|_| host.start::<String>("p", "work", (5000,))).collect();
    settle().await;
    let idle = who(&host).await;
    for _ in 0..5 {
        assert_eq!(who(&host).await, idle, "the others are busy");
    }
    let busy = shares(long).await;
    assert!(!busy.contains_key(&idle), "{busy:?} {idle}");
}

#[tokio::test(start_paused = true)]
async fn each_replica_has_its_own_queue() {
    let options = PluginOptions::default().queue_length(1);
    let (host, _programs) = with_replicas(&["a", "b"], options).await;
    // Two run and two wait; each caller may always queue 16, but not more than the queue holds.
    let calls: Vec<_> = (0..4).map(|_| host.start::<String>("p", "work", (100,))).collect();
    settle().await;
    let refused = host.local.call::<String>("p", "who", ()).await.unwrap_err();
    assert!(matches!(&refused, CallError::Refused(why) if matches!(**why, Refusal::Busy { .. })), "{refused:?}");
    assert!(shares(calls).await.values().eq([&2, &2]));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_costs_the_calls_that_it_runs() {
    let (host, programs) = with_replicas(&["a", "b", "c"], PluginOptions::default()).await;
    let calls: Vec<_> = (0..30).map(|_| host.start::<String>("p", "work", (50,))).collect();
    settle().await;
    programs[1].die();
    let (mut lost, mut done) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => done += 1,
            Err(CallError::LinkLost(_)) => lost += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((lost, done), (1, 29), "one was running, nine were waiting");
    let names = [who(&host).await, who(&host).await, who(&host).await];
    assert!(!names.contains(&"b".to_owned()), "{names:?}");
    programs[1].revive();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let names = [who(&host).await, who(&host).await, who(&host).await];
    assert!(names.contains(&"b".to_owned()), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_runs_again_after_a_loss() {
    let (host, programs) = with(&["a", "b"], |it| it.idempotent(["work"]).options(options())).await;
    let calls: Vec<_> = (0..10).map(|_| host.start::<String>("p", "work", (50,))).collect();
    settle().await;
    programs[0].die();
    assert_eq!(shares(calls).await, [("b".to_owned(), 10)].into());
}

/// A call that ends each link over which it is sent is given up after three.
#[tokio::test(start_paused = true)]
async fn an_idempotent_call_runs_three_times_at_most() {
    let host = Host::new().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let (mut programs, mut replicas) = (Vec::new(), Replicas::new("p").idempotent(["crash"]));
    for name in ["a", "b", "c", "d", "e"] {
        let runs = Arc::clone(&runs);
        let (program, connector) = Program::start(move || {
            let runs = Arc::clone(&runs);
            Plugin::new("p").method("crash", move |ctx: Context| {
                runs.fetch_add(1, Ordering::Relaxed);
                async move {
                    ctx.client().disconnect();
                    std::future::pending::<()>().await;
                }
            })
        });
        replicas = replicas.replica(name, "memory:", connector);
        programs.push(program);
    }
    host.engine.register(replicas).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    let lost = soon(host.local.call::<()>("p", "crash", ())).await.unwrap_err();
    assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_caller_stick_to_a_replica_until_it_is_lost() {
    let (host, programs) = with(&["a", "b", "c"], |it| it.choice(Choice::Caller)).await;
    let first = who(&host).await;
    for _ in 0..10 {
        assert_eq!(who(&host).await, first);
    }
    let index = ["a", "b", "c"].iter().position(|name| *name == first).unwrap();
    programs[index].die();
    settle().await;
    let second = who(&host).await;
    assert_ne!(second, first);
    assert_eq!(who(&host).await, second);
    programs[index].revive();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(who(&host).await, first, "as soon as it is there again");
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_a_replica_moves_only_its_share_of_the_arguments() {
    let (host, programs) = with(&["a", "b", "c"], |it| it.choice(Choice::Argument("/0".to_owned()))).await;
    let place = async |key: u64| host.local.call::<String>("p", "work", (key,)).await.unwrap();
    let mut before = Vec::new();
    for key in 0..60 {
        before.push(place(key).await);
        assert_eq!(place(key).await, before[key as usize]);
    }
    for name in ["a", "b", "c"] {
        assert!(before.iter().filter(|place| *place == name).count() > 8, "{before:?}");
    }
    programs[2].die();
    settle().await;
    for (key, before) in before.iter().enumerate() {
        let now = place(key as u64).await;
        assert!(now != "c" && (now == *before || before == "c"), "{key}: {before} {now}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_a_version_that_has_the_method() {
    let host = Host::new().await;
    let old = || named("old");
    let new = || named("new").method("extra", || async { "extra" });
    let ((_old, first), (_new, second)) = (Program::start(old), Program::start(new));
    let replicas = Replicas::new("p").replica("old", "memory:", first).replica("new", "memory:", second);
    host.engine.register(replicas).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    for _ in 0..4 {
        assert_eq!(host.local.call::<String>("p", "extra", ()).await.unwrap(), "extra");
    }
    let methods = host.engine.manager().profile("p").unwrap().methods.unwrap();
    assert_eq!(methods, ["who", "work", "say", "relay", "extra"]);
    let unknown = host.local.call::<String>("p", "other", ()).await.unwrap_err();
    assert!(matches!(&unknown, CallError::Refused(why) if matches!(**why, Refusal::NotExposed { .. })), "{unknown:?}");
    _new.die();
    settle().await;
    let lost = host.local.call::<String>("p", "extra", ()).await.unwrap_err();
    assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
    assert_eq!(who(&host).await, "old");
}

/// `p` calls the plugin `through`, which calls `p`: the second call neither waits for the first nor is refused.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_back_does_not_wait_for_itself() {
    for names in [&["a"][..], &["a", "b"]] {
        let (host, _programs) = with_replicas(names, PluginOptions::default()).await;
        host.engine
            .register(Plugin::new("through").method("back", |ctx: Context, ms: u64| async move {
                let all = (0..3).map(|_| ctx.client().call::<String>("p", "work", (ms,)));
                let mut names = Vec::new();
                for call in all {
                    names.push(call.await?);
                }
                Ok::<_, CallError>(names.join(""))
            }))
            .unwrap();
        // As many as there are replicas, each of which is busy then.
        let calls: Vec<_> = names.iter().map(|_| host.start::<String>("p", "relay", ("through", "back", 1))).collect();
        for call in calls {
            assert_eq!(soon(call).await.unwrap().unwrap().len(), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_can_be_cancelled_and_their_callers_can_leave() {
    let (host, _programs) = with_replicas(&["a", "b"], PluginOptions::default()).await;
    let other = host.engine.register(Plugin::new("other")).unwrap();
    host.engine.manager().activate("other").await.unwrap();
    let mine: Vec<_> = (0..4).map(|_| host.start::<String>("p", "work", (100,))).collect();
    let others = {
        let other = other.clone();
        tokio::spawn(async move { other.call::<String>("p", "work", (100,)).await })
    };
    settle().await;
    host.local.cancel("p", Some("work")).await.unwrap();
    for call in mine {
        assert!(matches!(soon(call).await.unwrap(), Err(CallError::Cancelled(_))));
    }
    assert!(soon(others).await.unwrap().is_ok());
    let running: Vec<_> = (0..2).map(|_| host.start::<String>("p", "work", (100,))).collect();
    settle().await;
    let waiting = tokio::spawn(async move { other.call::<String>("p", "who", ()).await });
    settle().await;
    host.engine.manager().deactivate("other").await.unwrap();
    assert!(matches!(soon(waiting).await.unwrap(), Err(CallError::Refused(_))));
    assert_eq!(shares(running).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn observers_learn_which_replica_runs_a_call() {
    let (host, programs) = with(&["a", "b"], |it| it.idempotent(["work"])).await;
    let notes = Notes::default();
    let told = notes.clone();
    let _observing = host.engine.observe(move |observation: &Observation<'_>| match observation {
        Observation::CallStarted { replica, .. } => told.add(format!("started at {}", replica.unwrap())),
        Observation::CallEnded { outcome: CallOutcome::Returned(_), .. } => told.add("ended"),
        Observation::Link { plugin, replica: Some(replica), state } => told.add(format!("{plugin}/{replica}: {state}")),
        _ => {}
    });
    let call = host.start::<String>("p", "work", (50,));
    settle().await;
    let first = notes.take();
    let index = usize::from(first == ["started at b"]);
    programs[index].die();
    let (lost, other) = (["a", "b"][index], ["b", "a"][index]);
    assert_eq!(call.await.unwrap().unwrap(), other);
    let rest = notes.take();
    assert_eq!(rest[0], format!("p/{lost}: down (cut); tries since: 0"));
    let of_the_call: Vec<_> = rest.iter().filter(|note| !note.as_str().unwrap().starts_with("p/")).collect();
    assert_eq!(of_the_call, ["ended"], "{rest:?}");
}
