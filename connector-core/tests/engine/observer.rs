//! What an engine tells its observers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use conformance::probe;
use connector_core::{
    CallOutcome, Direction, Interests, LinkState, Observation, Observer, Payload, PluginOptions, RunningCalls,
};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Host, Notes, settle, soon};

fn text(payload: &Payload) -> String {
    String::from_utf8(payload.to_json().unwrap().to_vec()).unwrap()
}

/// Notes calls, events and links.
fn note(notes: &Notes) -> impl Fn(&Observation<'_>) + Send + Sync + use<> {
    let notes = notes.clone();
    move |observation| match observation {
        Observation::CallQueued { call, args } => {
            let args = text(args);
            notes.add(format!("{} queued {}→{}.{} {args}", call.number, call.from, call.to, call.method));
        }
        Observation::CallWaits { call } => notes.add(format!("{} waits", call.number)),
        Observation::CallStarted { call, waited, .. } => notes.add(format!("{} started after {waited:?}", call.number)),
        Observation::CallEnded { call, waited, ran, outcome } => {
            let outcome = match outcome {
                CallOutcome::Returned(result) => text(result),
                CallOutcome::Failed(error) => error.to_string(),
                other => format!("{other:?}"),
            };
            notes.add(format!("{} ended: {outcome}, waited {waited:?}, ran {ran:?}", call.number));
        }
        Observation::Event { emitter, event, args, listeners } => {
            notes.add(format!("{emitter} emits {event} {} to {listeners}", text(args)));
        }
        Observation::Link { plugin, state, .. } => notes.add(format!("{plugin}: {state}")),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_observed_from_the_queue_to_their_outcome() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.add_with(PluginOptions::default().concurrency(1), probe).await;
    let observing = host.engine.observe(note(&notes));
    let first = host.start::<Value>("probe", "slow", (1000, "a"));
    settle().await;
    let second = host.start::<Value>("probe", "echo", ("b",));
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    host.local.call::<Value>("probe", "fail", ("why",)).await.unwrap_err();
    host.local.call::<Value>("nobody", "x", ()).await.unwrap_err();
    let dropped = host.local.call::<Value>("probe", "slow", (1000, 1)).now_or_never();
    assert!(dropped.is_none());
    let expected = [
        r#"1 queued local→probe.slow [1000,"a"]"#,
        "1 started after 0ns",
        r#"2 queued local→probe.echo ["b"]"#,
        "2 waits",
        r#"1 ended: "a", waited 0ns, ran Some(1s)"#,
        "2 started after 999ms",
        r#"2 ended: "b", waited 999ms, ran Some(0ns)"#,
        r#"3 queued local→probe.fail ["why"]"#,
        "3 started after 0ns",
        "3 ended: why, waited 0ns, ran Some(0ns)",
        "4 queued local→nobody.x []",
        "4 ended: Cannot call nobody from local, because nobody is not registered, waited 0ns, ran None",
        "5 queued local→probe.slow [1000,1]",
        "5 started after 0ns",
        "5 ended: Dropped, waited 0ns, ran Some(0ns)",
    ];
    assert_eq!(notes.take(), expected);
    drop(observing);
    host.local.call::<Value>("probe", "echo", ("c",)).await.unwrap();
    assert_eq!(notes.take(), [""; 0], "nothing after the guard is dropped");
}

#[tokio::test(start_paused = true)]
async fn events_and_links_are_observed() {
    let (host, notes) = (Host::new().await, Notes::default());
    let switch = host.add(probe).await;
    host.local.on("local", "seen", |_: Value| {}).unwrap();
    let _observing = host.engine.observe(note(&notes));
    host.local.emit("seen", (1,)).await.unwrap();
    host.local.emit("unseen", ()).await.unwrap();
    assert_eq!(notes.take(), ["local emits seen [1] to 1", "local emits unseen [] to 0"]);
    switch.cut();
    sleep(Duration::from_secs(3)).await;
    let mut seen = notes.take();
    seen.retain(|note| !note.as_str().unwrap().contains("profileUpdated"));
    let expected = [
        "probe: down (cut); tries since: 0",
        r#"manager emits linkDown ["probe","cut"] to 0"#,
        "probe: up",
        r#"manager emits linkUp ["probe"] to 0"#,
    ];
    assert_eq!(seen, expected);
    host.engine.manager().deactivate("probe").await.unwrap();
    assert!(notes.take().contains(&json!("probe: inactive")));
}

#[tokio::test(start_paused = true)]
async fn messages_are_observed_in_both_directions() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.add(probe).await;
    let seen = notes.clone();
    let _observing = host.engine.observe(move |observation: &Observation<'_>| {
        if let Observation::Message { plugin, direction, message, .. } = observation {
            let arrow = match direction {
                Direction::ToPlugin => "to",
                Direction::FromPlugin => "from",
            };
            seen.add(format!("{arrow} {plugin}: {:?} {}", message.action, message.key.as_deref().unwrap_or_default()));
        }
    });
    host.local.call::<Value>("probe", "echo", (1,)).await.unwrap();
    assert_eq!(notes.take(), ["to probe: Request echo", "from probe: Response echo"]);
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_harms_nobody() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.add(probe).await;
    let _bad = host.engine.observe(|_: &Observation<'_>| panic!("on purpose"));
    let _good = host.engine.observe(note(&notes));
    soon(host.local.call::<Value>("probe", "echo", (1,))).await.unwrap();
    assert_eq!(notes.take().len(), 3);
    assert!(matches!(*host.engine.link_state("probe").unwrap().borrow(), LinkState::Up));
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_not_told_of_a_call_that_began_before_it_was_attached() {
    let (host, early, late) = (Host::new().await, Notes::default(), Notes::default());
    host.add_with(PluginOptions::default().concurrency(1), probe).await;
    let _early = host.engine.observe(note(&early));
    let running = host.start::<Value>("probe", "slow", (1000, "a"));
    let waiting = host.start::<Value>("probe", "echo", ("b",));
    settle().await;
    let late_observer = host.engine.observe(note(&late));
    running.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(early.take().len(), 7);
    assert_eq!(late.take(), [""; 0]);
    host.local.call::<Value>("probe", "echo", ("c",)).await.unwrap();
    assert_eq!(late.take().len(), 3);
    let ends_without_it = host.start::<Value>("probe", "slow", (1000, "d"));
    settle().await;
    drop(late_observer);
    late.take();
    ends_without_it.await.unwrap().unwrap();
    assert_eq!(late.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_use_the_engine_and_detach_itself() {
    let host = Host::new().await;
    let switch = host.add(probe).await;
    let guard = Arc::new(Mutex::new(None));
    let count = Arc::new(AtomicUsize::new(0));
    let (engine, local, own, counted) = (host.engine.clone(), host.local.clone(), guard.clone(), count.clone());
    *guard.lock().unwrap() = Some(host.engine.observe(move |observation: &Observation<'_>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = engine.link_state("probe").map(|state| state.borrow().to_string());
        let _ = engine.manager().profile("probe");
        let _ = engine.observe(|_: &Observation<'_>| {});
        if !matches!(observation, Observation::Event { .. }) {
            let _ = local.emit("seen", (1,)).now_or_never();
            let _ = local.on("probe", "tick", |_: Value| {});
            let _ = local.call::<Value>("probe", "echo", (1,)).now_or_never().is_none();
        }
        if counted.load(Ordering::Relaxed) > 100 {
            own.lock().unwrap().take();
        }
    }));
    for _ in 0..50 {
        soon(host.local.call::<Value>("probe", "echo", (1,))).await.unwrap();
    }
    switch.cut();
    sleep(Duration::from_secs(3)).await;
    soon(host.local.call::<Value>("probe", "echo", (1,))).await.unwrap();
    assert!(guard.lock().unwrap().is_none());
}

/// Counts calls that end, and messages.
struct WithoutMessages(Notes);

impl Observer for WithoutMessages {
    fn interests(&self) -> Interests {
        Interests::ALL - Interests::MESSAGES
    }

    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::CallEnded { .. } => self.0.add("call"),
            Observation::Message { .. } => self.0.add("message"),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_leave_messages_out() {
    let (host, without, with) = (Host::new().await, Notes::default(), Notes::default());
    host.add(probe).await;
    let _first = host.engine.observe(WithoutMessages(without.clone()));
    host.local.call::<Value>("probe", "echo", (1,)).await.unwrap();
    assert_eq!(without.take(), ["call"]);
    let noted = with.clone();
    let second = host.engine.observe(move |observation: &Observation<'_>| {
        if matches!(observation, Observation::Message { .. }) {
            noted.add("message");
        }
    });
    host.local.call::<Value>("probe", "echo", (1,)).await.unwrap();
    assert_eq!(without.take(), ["call"]);
    assert_eq!(with.take(), ["message"; 2]);
    drop(second);
    host.local.call::<Value>("probe", "echo", (1,)).await.unwrap();
    assert_eq!(without.take(), ["call"]);
    assert_eq!(with.take(), [""; 0]);
}

/// Notes what it is told, and wants only this.
struct Only(Interests, Notes);

impl Observer for Only {
    fn interests(&self) -> Interests {
        self.0
    }

    fn observe(&self, observation: &Observation<'_>) {
        note(&self.1)(observation);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_only_what_it_wants() {
    let host = Host::new().await;
    host.add_with(PluginOptions::default().concurrency(1), probe).await;
    let [ends, waits, waiting, events] = [(); 4].map(|()| Notes::default());
    let _ends = host.engine.observe(Only(Interests::CALL_ENDED, ends.clone()));
    let _waits = host.engine.observe(Only(Interests::CALL_WAITS | Interests::CALL_STARTED, waits.clone()));
    let _waiting = host.engine.observe(Only(Interests::CALL_WAITS, waiting.clone()));
    let _events = host.engine.observe(Only(Interests::EVENT, events.clone()));
    let calls = ["a", "b"].map(|text| host.start::<Value>("probe", "slow", (1000, text)));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    host.local.emit("seen", (1,)).await.unwrap();
    let expected = [r#"1 ended: "a", waited 0ns, ran Some(1s)"#, r#"2 ended: "b", waited 1s, ran Some(1s)"#];
    assert_eq!(ends.take(), expected);
    assert_eq!(waits.take(), ["1 started after 0ns", "2 waits", "2 started after 1s"]);
    assert_eq!(waiting.take(), ["2 waits", "2 started after 1s"]);
    assert_eq!(events.take(), ["local emits seen [1] to 0"]);
}

#[derive(Default, Clone)]
struct Running(Arc<OnceLock<RunningCalls>>);

impl Observer for Running {
    fn observe(&self, _: &Observation<'_>) {}

    fn attached(&self, running: RunningCalls) {
        self.0.set(running).unwrap();
    }
}

impl Running {
    fn calls(&self) -> Vec<String> {
        let mut calls = Vec::new();
        let running = self.0.get().unwrap();
        running.for_each(|call| calls.push(format!("{} {} {}", call.from, call.to, call.method)));
        calls
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_ask_for_the_running_calls() {
    let host = Host::new().await;
    host.add_with(PluginOptions::default().concurrency(1), probe).await;
    let running = Running::default();
    let observing = host.engine.observe(running.clone());
    assert!(running.calls().is_empty());
    let calls = ["a", "b"].map(|text| host.start::<Value>("probe", "slow", (1000, text)));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(running.calls(), ["local probe slow"], "the second one waits");
    drop(observing);
    assert!(running.calls().is_empty() && running.0.get().unwrap().has_ended());
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
