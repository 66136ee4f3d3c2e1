//! Reentrant calls to a plugin behind a link during its activation.

use connector_core::{Context, Plugin, PluginClient};
use serde_json::{Value, json};

use crate::support::{Host, Notes, settle};

/// An engine whose plugin `near` calls its caller back.
async fn host() -> Host {
    let host = Host::new().await;
    let near = Plugin::new("near").method("one", || async { 1 }).method("back", |ctx: Context| async move {
        let from = ctx.from().to_owned();
        ctx.client().call::<Value>(&from, "m", ()).await.map_err(|error| error.to_string())
    });
    host.engine.register(near).unwrap();
    host
}

#[tokio::test(start_paused = true)]
async fn a_plugin_may_call_but_not_be_called_before_its_handshake() {
    let host = host().await;
    let (activated, mut peer, _peers) = host.start_scripted("far").await;
    let ask = peer.recv().await;
    let call = |id: i64, name: &str, key: &str| json!({"action": "request", "id": id, "name": name, "key": key});
    for (id, name, key) in [(1, "near", "one"), (2, "near", "back"), (3, "far", "m")] {
        peer.send(call(id, name, key));
        settle().await;
    }
    let answers = peer.all().await;
    assert_eq!(answers[0]["payload"], json!(1));
    assert_eq!(answers[1]["error"], "near cannot call m of far, because far is not activated yet");
    assert_eq!(answers[2]["error"], "far cannot call m of far, because far is not activated yet");
    // Once it has answered the handshake it may be called, although its activation is not announced yet.
    peer.answer(&ask, json!(["m"]));
    peer.send(call(4, "near", "back"));
    let request = peer.recv().await;
    assert_eq!(request["key"], "m");
    peer.answer(&request, json!(7));
    assert_eq!(peer.recv().await["payload"], json!(7));
    activated.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_activation_hook_behind_a_link_may_wait_for_reentrant_work() {
    let (host, notes) = (host().await, Notes::default());
    let noted = notes.clone();
    let plugin = move || {
        let notes = noted.clone();
        Plugin::new("far").method("m", || async { 7 }).on_activation(move |client: PluginClient| {
            let notes = notes.clone();
            async move { notes.add(client.call::<i64>("near", "back", ()).await.unwrap_or_else(|error| panic!("{error}"))) }
        })
    };
    host.add(plugin).await;
    settle().await;
    assert_eq!(notes.take(), [7]);
}
