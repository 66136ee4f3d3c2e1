//! The plugin `manager`: its methods and events.

use connector_core::{CallError, Plugin};
use serde_json::{Value, json};

use crate::scripted_peer::Peer;
use crate::support::{Host, Notes, settle};

async fn ask(peer: &mut Peer, method: &str, args: Value) -> Value {
    peer.send(json!({"action": "request", "id": 1, "name": "manager", "key": method, "payload": args}));
    let mut answer = peer.recv().await;
    match answer.get_mut("error") {
        Some(error) => error.take(),
        None => answer["payload"].take(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_managers_methods_work_over_a_link() {
    let host = Host::new().await;
    for name in ["one", "two"] {
        host.engine.register(Plugin::new(name).method("m", || async {})).unwrap();
    }
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    let peer = &mut peer;
    assert_eq!(ask(peer, "getProfile", json!(["one"])).await, json!({"name": "one", "methods": ["m"]}));
    assert_eq!(ask(peer, "getProfile", json!(["missing"])).await, json!(null));
    assert_eq!(ask(peer, "isActive", json!(["one"])).await, json!(false));
    assert_eq!(ask(peer, "activatePlugin", json!(["one"])).await, json!(null));
    assert_eq!(ask(peer, "isActive", json!(["one"])).await, json!(true));
    assert_eq!(ask(peer, "isActive", json!(["missing"])).await, json!(false));
    assert_eq!(ask(peer, "activatePlugin", json!([["one", "two"]])).await, json!([]));
    assert_eq!(ask(peer, "isActive", json!(["two"])).await, json!(true));
    assert_eq!(
        ask(peer, "deactivatePlugin", json!(["two"])).await,
        json!("Plugin far has no right to deactivate plugin two")
    );
    assert_eq!(ask(peer, "deactivatePlugin", json!(["missing"])).await, json!(null));
    assert_eq!(
        ask(peer, "activatePlugin", json!(["missing"])).await,
        json!("Cannot active plugin missing because it's not registered yet")
    );
    assert_eq!(ask(peer, "canCall", json!(["a", "b", "m", "please"])).await, json!(true));
    assert_eq!(ask(peer, "updateProfile", json!([{"description": "far off"}])).await, json!(null));
    assert_eq!(host.engine.manager().profile("far").unwrap().description.unwrap(), "far off");
}

#[tokio::test(start_paused = true)]
async fn several_names_are_all_processed_and_the_first_error_is_returned() {
    let host = Host::new().await;
    host.engine.register(Plugin::new("one")).unwrap();
    let outcome = host.local.call::<Value>("manager", "activatePlugin", (["missing", "one", "no one"],)).await;
    assert_eq!(outcome.unwrap_err().to_string(), "Cannot active plugin missing because it's not registered yet");
    assert!(host.engine.manager().is_active("one"));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_may_update_only_its_own_profile_and_not_its_url() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    let peer = &mut peer;
    let update = async |peer: &mut Peer, update: Value| ask(peer, "updateProfile", json!([update])).await;
    assert_eq!(update(peer, json!({"name": "local", "kind": "x"})).await, json!("A plugin cannot change its name."));
    assert_eq!(
        update(peer, json!({"name": "missing"})).await,
        json!("Plugin missing is not register, you cannot update it's profile.")
    );
    assert_eq!(update(peer, json!({"url": "ws://evil"})).await, json!("Url from Profile cannot be updated."));
    assert_eq!(update(peer, json!({"url": "hand://", "version": "1", "new": [1]})).await, json!(null));
    assert!(
        update(peer, json!({"version": 5})).await.as_str().unwrap().starts_with("the update is not a valid profile: ")
    );
    assert!(
        update(peer, json!({"name": 5})).await.as_str().unwrap().starts_with("the update is not a valid profile: ")
    );
    assert_eq!(ask(peer, "updateProfile", json!([null])).await, json!(null));
    let profile = host.engine.manager().profile("far").unwrap();
    assert_eq!((profile.url.as_deref(), profile.version.as_deref()), (Some("hand://"), Some("1")));
    assert_eq!(profile.other["new"], json!([1]));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_in_the_engine_exposes_exactly_its_method_table() {
    let host = Host::new().await;
    host.local.call::<()>("manager", "updateProfile", (json!({"methods": ["ghost"]}),)).await.unwrap();
    assert_eq!(host.engine.manager().profile("local").unwrap().methods, Some(vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_managers_events_carry_the_profile() {
    let (host, notes) = (Host::new().await, Notes::default());
    for event in ["profileAdded", "profileUpdated", "pluginActivated", "pluginDeactivated"] {
        let notes = notes.clone();
        let listener = move |profile: Value| notes.add(json!([event, profile["name"], profile["methods"]]));
        host.local.on("manager", event, listener).unwrap();
    }
    let (peer, _peers) = host.add_scripted("far", &["m"], false).await;
    assert_eq!(
        notes.take(),
        [
            json!(["profileAdded", "far", []]),
            json!(["pluginActivated", "far", ["m"]]),
            json!(["profileUpdated", "far", ["m"]]),
        ]
    );
    peer.send(
        json!({"action": "request", "id": 1, "name": "manager", "key": "updateProfile", "payload": [{"kind": "k"}]}),
    );
    settle().await;
    assert_eq!(notes.take(), [json!(["profileUpdated", "far", ["m"]])]);
    host.engine.manager().deactivate("far").await.unwrap();
    assert_eq!(notes.take(), [json!(["pluginDeactivated", "far", ["m"]])]);
}

#[tokio::test(start_paused = true)]
async fn a_host_sees_all_profiles_and_the_active_ones() {
    let host = Host::new().await;
    host.engine.register(Plugin::new("idle")).unwrap();
    let names = |mut profiles: Vec<connector_core::Profile>| {
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        profiles.into_iter().map(|profile| profile.name).collect::<Vec<_>>()
    };
    assert_eq!(names(host.engine.manager().profiles()), ["idle", "local", "manager"]);
    assert_eq!(names(host.engine.manager().active_profiles()), ["local", "manager"]);
}

#[tokio::test(start_paused = true)]
async fn wrong_arguments_are_reported_to_the_caller() {
    let host = Host::new().await;
    for (method, args) in [("activatePlugin", json!([5])), ("isActive", json!([])), ("updateProfile", json!(["x"]))] {
        let outcome = host.local.call::<Value>("manager", method, connector_core::Payload::new(args)).await;
        assert!(matches!(outcome, Err(CallError::Plugin(_))), "{method}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_manager_cannot_be_removed() {
    let host = Host::new().await;
    host.engine.manager().deactivate("manager").await.unwrap();
    host.engine.remove("manager").await;
    assert!(host.local.call::<bool>("manager", "isActive", ("manager",)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn plugins_see_no_secrets_in_urls() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.local.on("manager", "profileAdded", notes.listener()).unwrap();
    let url = "ws://user:s3cret@127.0.0.1:9/t0ken?key=s3cret";
    let far = connector_core::ExternalProfile::new("secret", url);
    let (connector, _accepts, _switch) = conformance::memory();
    host.engine.register(connector_core::Registration::behind(far, connector)).unwrap();
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    let shown = ask(&mut peer, "getProfile", json!(["secret"])).await;
    assert_eq!(shown["url"], "ws://127.0.0.1:9/…");
    assert_eq!(notes.take()[0][0], shown);
    assert_eq!(host.engine.manager().profile("secret").unwrap().url.as_deref(), Some(url), "the host sees everything");
    // What a plugin has read is not a change.
    let own = ask(&mut peer, "getProfile", json!(["far"])).await;
    assert_eq!(ask(&mut peer, "updateProfile", json!([own])).await, json!(null));
    assert_eq!(host.engine.manager().profile("far").unwrap().url.as_deref(), Some("hand://"));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_behind_a_link_cannot_set_the_hosts_fields() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    let update = json!([{"canActivate": ["x"], "permission": true, "hash": "h", "kind": 5, "version": "2"}]);
    assert_eq!(ask(&mut peer, "updateProfile", update).await, json!(null));
    let profile = host.engine.manager().profile("far").unwrap();
    assert_eq!(profile.version.as_deref(), Some("2"));
    assert_eq!((profile.can_activate, profile.permission, profile.hash, profile.kind), (None, None, None, None));
}
