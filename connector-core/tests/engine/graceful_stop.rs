//! Graceful stop of a plugin's program.

use std::time::Duration;

use conformance::memory;
use connector_core::{
    CallError, ClientConfig, ConnectError, Context, Engine, ExternalProfile, LinkEnd, LinkState, Plugin, PluginClient,
    PluginConnector, PluginOptions, Registration, connect, serve,
};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scripted_peer::{Peer, plugin_with_scripted_engine};
use crate::support::{Host, Notes, settle, soon};

/// A method that takes the given number of milliseconds, and one that never ends.
fn plugin(notes: &Notes) -> Plugin {
    let (ended, deactivated) = (notes.clone(), notes.clone());
    Plugin::new("p")
        .method("work", move |ms: u64| {
            let ended = ended.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                ended.add("worked");
                ms
            }
        })
        .method("stuck", || async { std::future::pending::<()>().await })
        .on_activation(|_| std::future::pending::<()>())
        .on_deactivation(move |_| {
            deactivated.add("deactivated");
            std::future::ready(())
        })
}

/// An engine with `p`, and the signal that stops the program serving it.
async fn served(host: &Host, notes: &Notes) -> (oneshot::Sender<()>, JoinHandle<LinkEnd>) {
    let (connector, accepts, _) = memory();
    let options = PluginOptions::default().concurrency(8);
    let registration = Registration::behind(ExternalProfile::new("p", "memory:"), connector).options(options);
    host.engine.register(registration).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let notes = notes.clone();
    let serving = serve(accepts, move || plugin(&notes), ClientConfig::default());
    let serving = tokio::spawn(serving.until(stopped));
    host.engine.manager().activate("p").await.unwrap();
    (stop, serving)
}

async fn end_of(host: &Host) -> LinkEnd {
    let mut state = host.engine.link_state("p").unwrap();
    let state = soon(state.wait_for(|state| matches!(state, LinkState::Down { .. }))).await.unwrap().clone();
    let LinkState::Down { why, .. } = state else { unreachable!() };
    why
}

#[tokio::test(start_paused = true)]
async fn running_calls_finish_new_ones_are_refused_and_the_link_closes_gracefully() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (stop, serving) = served(&host, &notes).await;
    let running = host.start::<u64>("p", "work", (100,));
    settle().await;
    stop.send(()).unwrap();
    settle().await;
    let refused = soon(host.local.call::<u64>("p", "work", (1,))).await.unwrap_err();
    assert!(refused.to_string().contains("it is stopping"), "{refused}");
    assert!(host.engine.link_state("p").unwrap().borrow().is_up(), "the method still runs");
    assert_eq!(soon(running).await.unwrap().unwrap(), 100);
    assert!(matches!(end_of(&host).await, LinkEnd::Closed { .. }));
    assert!(matches!(soon(serving).await.unwrap(), LinkEnd::Disconnected));
    assert_eq!(notes.take(), ["worked", "deactivated"]);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_does_not_end_is_dropped_at_the_limit() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (stop, serving) = served(&host, &notes).await;
    let running = host.start::<()>("p", "stuck", ());
    settle().await;
    stop.send(()).unwrap();
    tokio::time::sleep(ClientConfig::default().stop_timeout - Duration::from_millis(10)).await;
    assert!(!running.is_finished() && !serving.is_finished());
    let end = soon(running).await.unwrap().unwrap_err();
    assert!(matches!(end, CallError::LinkLost(_)) && end.to_string().contains("closed by the other end"), "{end}");
    assert!(matches!(soon(serving).await.unwrap(), LinkEnd::Disconnected));
    assert_eq!(notes.take(), ["deactivated"]);
}

/// The engine's end is never read or written, so nothing can be sent gracefully.
#[tokio::test(start_paused = true)]
async fn an_unresponsive_engine_does_not_delay_the_stop() {
    let (mut connector, accepts, _) = memory();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(accepts, || Plugin::new("p"), ClientConfig::default()).until(stopped);
    let serving = tokio::spawn(serving);
    let link = connector.connect("memory:").await.unwrap();
    settle().await;
    stop.send(()).unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), serving).await.expect("it hangs").unwrap();
    assert!(matches!(end, LinkEnd::Disconnected), "{end:?}");
    drop(link);
}

#[tokio::test(start_paused = true)]
async fn the_link_of_an_engine_that_connects_during_the_stop_is_closed() {
    let (mut connector, accepts, _) = memory();
    let (stop, stopped) = oneshot::channel::<()>();
    let notes = Notes::default();
    let serving = serve(accepts, move || plugin(&notes), ClientConfig::default()).until(stopped);
    let serving = tokio::spawn(serving);
    // A host whose call keeps the program from ending at once.
    let host = Host::new().await;
    let (early, late) = (connector.connect("").await.unwrap(), Engine::new());
    host.engine.register(Registration::behind(ExternalProfile::new("p", ""), Once(Some(early)))).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    let running = host.start::<u64>("p", "work", (200,));
    settle().await;
    stop.send(()).unwrap();
    settle().await;
    let link = connector.connect("").await.unwrap();
    late.register(Registration::behind(ExternalProfile::new("p", ""), Once(Some(link)))).unwrap();
    let error = soon(late.manager().activate("p")).await.unwrap_err().to_string();
    assert!(error.contains("used up") || error.contains("closed by the other end"), "{error}");
    assert_eq!(soon(running).await.unwrap().unwrap(), 200);
    assert!(matches!(soon(serving).await.unwrap(), LinkEnd::Disconnected));
}

/// A connector with one link.
struct Once(Option<Box<dyn connector_core::Link>>);

#[connector_core::async_trait]
impl PluginConnector for Once {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn connector_core::Link>, ConnectError> {
        self.0.take().ok_or_else(|| ConnectError::Refused("used up".to_owned()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_handle_can_finish_its_own_link() {
    let host = Host::new().await;
    let (connector, mut accepts, _) = memory();
    host.engine.register(Registration::behind(ExternalProfile::new("p", ""), connector)).unwrap();
    let accepted = tokio::spawn(async move { connector_core::ClientConnector::accept(&mut accepts).await.unwrap() });
    let activated = host.start_activation("p");
    let notes = Notes::default();
    let (client, session) = connect(accepted.await.unwrap(), plugin(&notes), ClientConfig::default());
    let session = tokio::spawn(session);
    soon(activated).await.unwrap().unwrap();
    let running = host.start::<u64>("p", "work", (50,));
    settle().await;
    soon(client.finish()).await;
    assert_eq!(soon(running).await.unwrap().unwrap(), 50);
    assert!(matches!(soon(session).await.unwrap(), LinkEnd::Disconnected));
    soon(client.finish()).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_of_several_signals_counts() {
    for first in [true, false] {
        let (_connector, accepts, _) = memory();
        let (one, other) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let serving = serve(accepts, || Plugin::new("p"), ClientConfig::default());
        let serving = serving.until(one.1).until(other.1);
        let serving = tokio::spawn(serving);
        settle().await;
        assert!(!serving.is_finished());
        let (stop, _kept) = if first { (one.0, other.0) } else { (other.0, one.0) };
        drop(stop);
        assert!(matches!(soon(serving).await.unwrap(), LinkEnd::Disconnected));
    }
}

/// A signal before the first poll, and one without any connection.
#[tokio::test(start_paused = true)]
async fn it_stops_at_once_without_connections() {
    let (_connector, accepts, _) = memory();
    let end = soon(serve(accepts, || Plugin::new("p"), ClientConfig::default()).until(async {})).await;
    assert!(matches!(end, LinkEnd::Disconnected), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_finishes_its_own_link_does_not_deadlock() {
    for (hangs, limit) in [(false, Duration::from_millis(200)), (true, Duration::from_secs(6))] {
        let p = Plugin::new("p")
            .method("work", move || async move {
                match hangs {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            })
            .method("leave", |ctx: Context| async move {
                ctx.client().finish().await;
                7
            });
        let (client, mut engine) = plugin_with_scripted_engine(p, ClientConfig::default(), true).await;
        engine.send(json!({"action": "request", "id": 1, "name": "p", "key": "work", "payload": []}));
        engine.send(json!({"action": "request", "id": 2, "name": "p", "key": "leave", "payload": []}));
        assert_eq!(engine.recv().await["draining"], json!(true), "hangs: {hangs}");
        let answer = engine.recv().await;
        assert_eq!((&answer["id"], &answer["payload"]), (&json!(2), &json!(7)), "hangs: {hangs}");
        confirm_draining(&mut engine).await;
        engine.send(json!({"action": "request", "id": 3, "name": "p", "key": "leave", "payload": []}));
        assert!(engine.recv().await["error"].as_str().unwrap().ends_with("it is stopping"), "hangs: {hangs}");
        assert!(!engine.has_ended(), "the running method continues; hangs: {hangs}");
        tokio::time::sleep(limit).await;
        assert!(engine.has_ended(), "hangs: {hangs}");
        assert!(client.emit("e", ()).await.is_err());
    }
    // The same in its hook and in a listener, where nothing else drives the link.
    let p = Plugin::new("p").on_activation(|client: PluginClient| async move {
        client.finish().await;
        std::future::pending::<()>().await
    });
    let (_client, mut engine) = plugin_with_scripted_engine(p, ClientConfig::default(), true).await;
    assert_eq!(engine.recv().await["draining"], json!(true));
    confirm_draining(&mut engine).await;
    settle().await;
    assert!(engine.has_ended());
}

/// The engine says that it sends no more requests.
async fn confirm_draining(engine: &mut Peer) {
    let key = "handshake";
    engine.send(json!({"action": "request", "id": -3, "name": "p", "key": key, "payload": ["p"], "draining": true}));
    assert_eq!(engine.recv().await["id"], json!(-3));
}

/// An engine that knows the extension and never confirms, and one that does not know it.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_stopping_waits_for_the_confirmation_until_the_limit() {
    for (native, at_once) in [(true, false), (false, true)] {
        let p = Plugin::new("p").method("work", async || 7);
        let (client, mut engine) = plugin_with_scripted_engine(p, ClientConfig::default(), native).await;
        let finishing = tokio::spawn(async move { client.finish().await });
        settle().await;
        assert_eq!(finishing.is_finished(), at_once, "native: {native}");
        if native {
            assert_eq!(engine.recv().await["draining"], json!(true));
            engine.send(json!({"action": "request", "id": 1, "name": "p", "key": "work", "payload": []}));
            assert_eq!(engine.recv().await["payload"], json!(7), "it was on its way");
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(finishing.is_finished() && engine.has_ended(), "native: {native}");
    }
}
