//! Several subscriptions of one plugin to one event: each ends separately.

use conformance::Switch;
use connector_core::{Context, Event, EventStream, Plugin, PluginClient, PluginOptions, Rest};
use serde_json::json;

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, settle, soon};

/// A listener in the engine's process or behind a link, with the emitter of the event `tick`.
struct Place {
    listener: PluginClient,
    clock: PluginClient,
    _host: Host,
    _switch: Option<Switch>,
}

async fn place(linked: bool) -> Place {
    let host = Host::new().await;
    let clock = host.engine.register(Plugin::new("clock")).unwrap();
    host.engine.manager().activate("clock").await.unwrap();
    if !linked {
        return Place { listener: host.local.clone(), clock, _host: host, _switch: None };
    }
    let (give, given) = std::sync::mpsc::channel();
    let switch = host.register(PluginOptions::default(), move || {
        let give = give.clone();
        Plugin::new("far").on_activation(move |client| {
            give.send(client).unwrap();
            async {}
        })
    });
    host.engine.manager().activate("far").await.unwrap();
    Place { listener: given.try_recv().unwrap(), clock, _host: host, _switch: Some(switch) }
}

impl Place {
    async fn tick(&self, number: i64) {
        settle().await;
        self.clock.emit("tick", (number,)).await.unwrap();
        settle().await;
    }

    fn stream(&self) -> EventStream {
        self.listener.events("clock", "tick", 9).unwrap()
    }
}

/// The buffered items of a stream, without waiting for more.
fn waiting(stream: &mut EventStream) -> Vec<String> {
    std::iter::from_fn(|| futures_util::FutureExt::now_or_never(stream.recv()).flatten())
        .map(|event| match event {
            Event::Args(args) => serde_json::to_string(&args).unwrap(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn two_streams_of_one_event_both_receive_every_occurrence() {
    for linked in [false, true] {
        let place = place(linked).await;
        let (mut one, mut two) = (place.stream(), place.stream());
        for number in 1..=2 {
            place.tick(number).await;
            let expected = format!("[{number}]");
            for stream in [&mut one, &mut two] {
                assert_eq!(waiting(stream), [expected.as_str()], "linked: {linked}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_ends_only_its_subscription() {
    for linked in [false, true] {
        let (place, on) = (place(linked).await, Notes::default());
        place.listener.on("clock", "tick", on.listener()).unwrap();
        let (mut one, two) = (place.stream(), place.stream());
        place.tick(1).await;
        drop(two);
        place.tick(2).await;
        assert_eq!(waiting(&mut one), ["[1]", "[2]"], "linked: {linked}");
        drop(one);
        place.tick(3).await;
        assert_eq!(on.take(), [json!([1]), json!([2]), json!([3])], "linked: {linked}");
    }
}

/// What the documentation of `PluginClient::on` says.
#[tokio::test(start_paused = true)]
async fn only_the_activation_hooks_subscriptions_return_with_a_new_link() {
    let (host, in_hook, in_method) = (Host::new().await, Notes::default(), Notes::default());
    let (hook, method) = (in_hook.clone(), in_method.clone());
    let switch = host
        .add(move || {
            let (hook, method) = (hook.clone(), method.clone());
            Plugin::new("far")
                .on_activation(move |client| {
                    client.on("local", "tick", hook.listener()).unwrap();
                    async {}
                })
                .method("listen", move |ctx: Context| {
                    ctx.client().on("local", "tick", method.listener()).unwrap();
                    async {}
                })
        })
        .await;
    host.local.call::<()>("far", "listen", ()).await.unwrap();
    settle().await;
    host.local.emit("tick", (1,)).await.unwrap();
    settle().await;
    assert_eq!((in_hook.take(), in_method.take()), (vec![json!([1])], vec![json!([1])]));
    switch.cut();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    in_hook.take();
    host.local.emit("tick", (2,)).await.unwrap();
    settle().await;
    assert_eq!((in_hook.take(), in_method.take()), (vec![json!([2])], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_a_once_of_the_same_event() {
    for linked in [false, true] {
        for once_first in [true, false] {
            let (place, once) = (place(linked).await, Notes::default());
            let mut stream = None;
            if !once_first {
                stream = Some(place.stream());
            }
            place.listener.once("clock", "tick", once.listener()).unwrap();
            let mut stream = stream.unwrap_or_else(|| place.stream());
            for number in 1..=3 {
                place.tick(number).await;
            }
            assert_eq!(waiting(&mut stream), ["[1]", "[2]", "[3]"], "linked: {linked}, once first: {once_first}");
            assert_eq!(once.take(), [json!([1])], "linked: {linked}, once first: {once_first}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn off_ends_all_subscriptions_to_the_event() {
    for linked in [false, true] {
        let (place, on) = (place(linked).await, Notes::default());
        place.listener.on("clock", "tick", on.listener()).unwrap();
        let (mut one, mut two) = (place.stream(), place.stream());
        place.listener.off("clock", "tick").unwrap();
        place.tick(1).await;
        assert!(soon(one.recv()).await.is_none() && soon(two.recv()).await.is_none(), "linked: {linked}");
        assert!(on.take().is_empty(), "linked: {linked}");
        // A new subscription works.
        let mut again = place.stream();
        place.tick(2).await;
        assert_eq!(waiting(&mut again), ["[1]", "[2]"], "the stored event and the new one; linked: {linked}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_engines_subscription_ends_with_the_plugins_last_one() {
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), Default::default(), false).await;
    let asked = |action: &str| json!({"action": action, "name": "x", "key": "e"});
    let (one, two) = (client.events::<Rest>("x", "e", 1).unwrap(), client.events::<Rest>("x", "e", 1).unwrap());
    assert_eq!(engine.all().await, [asked("on"), asked("on")]);
    drop(one);
    assert!(engine.all().await.is_empty());
    drop(two);
    assert_eq!(engine.all().await, [asked("off")]);
    // A `once` whose engine subscription is lasting ends it when it has fired.
    let lasting = client.events::<Rest>("x", "e", 1).unwrap();
    client.once("x", "e", |_: i64| {}).unwrap();
    drop(lasting);
    assert_eq!(engine.all().await, [asked("on"), asked("on")]);
    engine.send(json!({"action": "notification", "name": "x", "key": "e", "payload": [1]}));
    assert_eq!(engine.all().await, [asked("off")]);
}

/// A plugin whose name passes to another while its deactivation hook still runs.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_removed_plugin_does_not_affect_its_namesake() {
    let (host, notes) = (Host::new().await, Notes::default());
    let slow =
        || Plugin::new("p").on_deactivation(|_| async { tokio::time::sleep(std::time::Duration::from_secs(1)).await });
    let old = host.engine.register(slow()).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    old.on("local", "e", |_: i64| {}).unwrap();
    let engine = host.engine.clone();
    let removed = tokio::spawn(async move { engine.remove("p").await });
    settle().await;
    let new = host.engine.register(slow()).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    new.on("local", "e", notes.listener()).unwrap();
    host.local.on("p", "said", |_: i64| {}).unwrap();
    new.emit("said", (7,)).await.unwrap();
    removed.await.unwrap();
    host.local.emit("e", (1,)).await.unwrap();
    assert_eq!(notes.take(), [json!([1])]);
    let late = Notes::default();
    let other = host.engine.register(Plugin::new("other")).unwrap();
    host.engine.manager().activate("other").await.unwrap();
    other.on("p", "said", late.listener()).unwrap();
    assert_eq!(late.take(), [json!([7])], "it is remembered");
}
