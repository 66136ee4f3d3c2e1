//! What the statistics count.

use std::time::Duration;

use connector_core::{Context, Engine, Plugin, PluginClient, PluginOptions, Registration, Service};
use connector_inspect::Statistics;

async fn engine() -> (Engine, PluginClient, Statistics) {
    let engine = Engine::new();
    let statistics = Statistics::new();
    let tools = Service::new().method("ping", || async { "pong" });
    let calc = Plugin::new("calc")
        .method("fail", |why: String| async move { Err::<(), _>(why) })
        .method("wait", |millis: u64| async move { tokio::time::sleep(Duration::from_millis(millis)).await })
        .method("tick", |ctx: Context| async move { ctx.client().emit("ticked", ()).await })
        .service("tools", tools);
    engine.register(Registration::from(calc).options(PluginOptions::default().concurrency(2))).unwrap();
    let app = engine.register(Plugin::new("app")).unwrap();
    engine.manager().activate("app").await.unwrap();
    (engine, app, statistics)
}

#[tokio::test(start_paused = true)]
async fn calls_wait_run_and_end() {
    let (engine, app, statistics) = engine().await;
    let _observing = engine.observe(statistics.clone());
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.call::<()>("calc", "wait", (1000,)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let edge = statistics.snapshot().edges.remove(0);
    assert_eq!((&*edge.from, &*edge.to, edge.calls.running, edge.calls.waiting), ("app", "calc", 2, 3));
    calls[4].abort();
    for call in calls {
        let _ = call.await;
    }
    let calc = statistics.snapshot().plugins["calc"].clone();
    assert_eq!((calc.calls.calls, calc.calls.dropped, calc.calls.errors), (5, 1, 0));
    assert_eq!((calc.calls.running, calc.calls.waiting), (0, 0));
    // From the call to its end: 1 s for two, 2 s for the others.
    let is_about = |micros: u64, seconds: u64| (micros as f64 / 1e6 - seconds as f64).abs() < 0.15;
    assert!(is_about(calc.latency.p50, 1) && is_about(calc.latency.max, 2), "{calc:?}");
    assert_eq!(calc.calls.mean, 1_500_000);
}

#[tokio::test]
async fn methods_of_services_events_and_the_last_error_have_names() {
    let (engine, app, statistics) = engine().await;
    let _observing = engine.observe(statistics.clone());
    app.call::<String>("calc.tools", "ping", ()).await.unwrap();
    app.call::<()>("calc", "fail", ("first",)).await.unwrap_err();
    app.call::<()>("calc", "fail", ("x".repeat(1000),)).await.unwrap_err();
    for _ in 0..3 {
        app.call::<()>("calc", "tick", ()).await.unwrap();
    }
    let details = statistics.plugin("calc");
    let names: Vec<_> = details.methods.iter().map(|method| &*method.name).collect();
    assert_eq!(names, ["fail", "tick", "tools.ping"]);
    let fail = &details.methods[0];
    assert_eq!((fail.total.calls.calls, fail.total.calls.errors, &*fail.callers[0].name), (2, 2, "app"));
    let text = &fail.total.last_error.as_ref().unwrap().text;
    assert!(text.starts_with("xxx") && text.len() < 250, "{text}");
    assert_eq!((&*details.events[0].name, details.events[0].count), ("ticked", 3));
    let counted: u64 = details.methods[1].latency.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 3);
}

#[tokio::test]
async fn names_that_do_not_exist_do_not_fill_the_memory() {
    let (engine, app, statistics) = engine().await;
    let _observing = engine.observe(statistics.clone());
    for number in 0..5000 {
        app.call::<()>("calc", &format!("m{number}"), ()).await.unwrap_err();
        app.call::<()>(&format!("p{number}"), "x", ()).await.unwrap_err();
    }
    let snapshot = statistics.snapshot();
    assert_eq!(snapshot.plugins.keys().map(|name| &**name).collect::<Vec<_>>(), ["_OTHER", "calc"]);
    assert_eq!((snapshot.plugins["_OTHER"].calls.errors, snapshot.plugins["calc"].calls.errors), (5000, 5000));
    let methods = statistics.plugin("calc").methods;
    assert_eq!((methods.len(), &*methods[0].name, methods[0].total.calls.waiting), (1, "_OTHER", 0));
}

#[tokio::test]
async fn beyond_the_limit_pairs_are_counted_together() {
    let (engine, app, statistics) = engine().await;
    let mut many = Plugin::new("many");
    for number in 0..9000 {
        many = many.method(&format!("m{number}"), || async {});
    }
    let callers: Vec<_> = (0..9).map(|number| engine.register(Plugin::new(format!("c{number}"))).unwrap()).collect();
    engine.register(many).unwrap();
    let _observing = engine.observe(statistics.clone());
    for (number, caller) in callers.iter().enumerate() {
        engine.manager().activate(&format!("c{number}")).await.unwrap();
        for method in 0..9000 {
            caller.call::<()>("many", &format!("m{method}"), ()).await.unwrap();
        }
    }
    let snapshot = statistics.snapshot();
    let (many, other) = (&snapshot.plugins["many"].calls, &snapshot.plugins["_OTHER"].calls);
    assert!(many.calls <= 65_536 && other.calls > 10_000, "{many:?} {other:?}");
    assert_eq!((many.calls + other.calls, other.waiting + other.running), (81_000, 0));
    // What is known is still counted.
    app.call::<()>("calc", "wait", (0,)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_of_several_threads_add_up() {
    let (engine, app, statistics) = engine().await;
    let _observing = engine.observe(statistics.clone());
    let calls = (0..4).map(|_| {
        let app = app.clone();
        tokio::spawn(async move {
            for _ in 0..1000 {
                app.call::<()>("calc", "wait", (0,)).await.unwrap();
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let calls = statistics.snapshot().plugins["calc"].calls.clone();
    assert_eq!((calls.calls, calls.errors, calls.waiting, calls.running), (4000, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_of_two_engines_with_the_same_numbers_are_told_apart() {
    let statistics = Statistics::new();
    let mut running = Vec::new();
    for name in ["one", "two"] {
        let (engine, _, _) = engine().await;
        let caller = engine.register(Plugin::new(name)).unwrap();
        engine.manager().activate(name).await.unwrap();
        let observing = engine.observe(statistics.clone());
        let call = tokio::spawn(async move { caller.call::<()>("calc", "wait", (1000,)).await });
        running.push((engine, observing, call));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (_, _, call) in &mut running {
        call.await.unwrap().unwrap();
    }
    let edges = statistics.snapshot().edges;
    let counts: Vec<_> = edges.iter().map(|edge| (&*edge.from, edge.calls.calls, edge.calls.running)).collect();
    assert_eq!(counts, [("one", 1, 0), ("two", 1, 0)]);
}
