//! The outcomes of calls: each ends once, with the documented text.

use std::time::Duration;

use connector_core::{CallError, ClientConfig, LinkLost, Payload, Plugin, PluginOptions, Refusal, connect};
use serde_json::{Value, json};

use crate::scripted_peer::{plugin_with_scripted_engine, scripted_link};
use crate::support::{Host, Notes, settle, soon};

fn named(name: &str) -> Plugin {
    Plugin::new(name)
        .method("echo", |value: Value| async move { value })
        .method("hang", || async { std::future::pending::<()>().await })
        .method("fail", || async { Err::<(), _>("it failed") })
}

fn words<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> String {
    outcome.unwrap_err().to_string()
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> Refusal {
    match outcome.unwrap_err() {
        CallError::Refused(refusal) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_at_a_loss_ends_at_once() {
    let host = Host::new().await;
    let switch = host.add(|| named("far")).await;
    let call = host.start::<()>("far", "hang", ());
    settle().await;
    switch.cut();
    match soon(call).await.unwrap().unwrap_err() {
        CallError::LinkLost(lost) => assert!(matches!(*lost, LinkLost::Observed { plugin, .. } if &*plugin == "far")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_by_a_linked_plugin_ends_at_once_when_the_targets_link_or_its_own_is_lost() {
    let host = Host::new().await;
    let switch = host.add(|| named("far")).await;
    let (mut caller, _peers) = host.add_scripted("caller", &[], true).await;
    caller.send(json!({"action": "request", "id": 1, "name": "far", "key": "hang", "payload": []}));
    settle().await;
    switch.cut();
    let answer = caller.recv().await;
    assert_eq!((&answer["id"], &answer["errorKind"]), (&json!(1), &json!("linkLost")));

    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), true).await;
    let call = tokio::spawn(async move { client.call::<()>("x", "y", ()).await });
    engine.recv().await;
    engine.close();
    assert!(matches!(soon(call).await.unwrap(), Err(CallError::LinkLost(_))));
}

#[tokio::test(start_paused = true)]
async fn a_response_with_an_unknown_id_is_dropped_and_the_link_lives() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["echo"], false).await;
    peer.send(json!({"action": "response", "id": 77, "name": "far", "key": "echo", "payload": 1}));
    peer.send(json!({"action": "response", "name": "far", "key": "echo"}));
    let call = host.start::<i64>("far", "echo", (5,));
    let request = peer.recv().await;
    peer.answer(&request, json!(5));
    peer.answer(&request, json!(6));
    assert_eq!(soon(call).await.unwrap().unwrap(), 5);

    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), false).await;
    engine.send(json!({"action": "response", "id": 77, "name": "x", "key": "y", "payload": 1}));
    let call = tokio::spawn(async move { client.call::<i64>("x", "y", ()).await });
    engine.answer_next(json!(5)).await;
    assert_eq!(soon(call).await.unwrap().unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_call_right_after_activation_works_despite_a_late_handshake() {
    let host = Host::new().await;
    let (activated, mut peer, _peers) = host.start_scripted("far").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!activated.is_finished() && !host.engine.manager().is_active("far"));
    peer.answer_handshake(&["echo"], false).await;
    activated.await.unwrap().unwrap();
    let call = host.start::<i64>("far", "echo", (5,));
    peer.answer_next(json!(5)).await;
    assert_eq!(soon(call).await.unwrap().unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_plugins_error_arrives_unchanged() {
    let host = Host::new().await;
    host.add(|| named("far")).await;
    host.engine.register(named("near")).unwrap();
    for target in ["far", "near"] {
        match host.local.call::<()>(target, "fail", ()).await.unwrap_err() {
            CallError::Plugin(fault) => assert_eq!(fault.to_string(), "it failed"),
            other => panic!("{target}: {other:?}"),
        }
    }
    let (mut peer, _peers) = host.add_scripted("hand", &["fail"], false).await;
    let call = host.start::<()>("hand", "fail", ());
    let request = peer.recv().await;
    peer.send(json!({"action": "response", "id": request["id"], "error": {"code": 5, "message": "no"}}));
    let CallError::Plugin(fault) = call.await.unwrap().unwrap_err() else { panic!("not the plugin's") };
    assert_eq!(fault.payload().clone().read::<Value>().unwrap(), json!({"code": 5, "message": "no"}));
}

#[tokio::test(start_paused = true)]
async fn refusals_use_the_published_words() {
    let host = Host::new().await;
    host.engine.register(named("near")).unwrap();
    host.engine.register(named("off").can_activate(|_, _| async { false })).unwrap();
    let local = &host.local;
    let call = async |target: &str, method: &str| words(local.call::<()>(target, method, ()).await);
    assert_eq!(call("missing.at.all", "x").await, "Cannot call missing from local, because missing is not registered");
    assert_eq!(call("off", "echo").await, "local cannot call echo of off, because off is not activated yet");
    assert_eq!(
        call("near", "secret").await,
        "Cannot call method \"secret\" of \"near\" from \"local\", because \"secret\" is not exposed. \
         Here is the list of exposed methods: \"echo\",\"hang\",\"fail\",\"canDeactivate\""
    );
    let cancel = async |target: &str, method: Option<&str>| words(local.cancel(target, method).await);
    assert_eq!(
        cancel("missing", Some("x")).await,
        "Cannot cancel x on missing from local, because missing is not registered"
    );
    assert_eq!(
        cancel("missing", None).await,
        "Cannot cancel undefined on missing from local, because missing is not registered"
    );
    assert_eq!(cancel("off", Some("echo")).await, "local cannot cancel echo of off, because off is not activated");
    assert_eq!(cancel("off", None).await, "local cannot cancel calls onoff, because off is not activated");
    assert_eq!(
        cancel("near", Some("secret")).await,
        "Cannot cancel \"secret\" of \"near\" from \"local\", because \"secret\" is not exposed. \
         Here is the list of exposed methods: \"echo\",\"hang\",\"fail\",\"canDeactivate\""
    );
}

#[tokio::test(start_paused = true)]
async fn operations_of_a_deactivated_plugin_fail_with_the_published_text() {
    let host = Host::new().await;
    let idle = host.engine.register(named("idle")).unwrap();
    let told = |what: &str| format!("Plugin \"idle\" is currently deactivated. {what}. Activate \"idle\" first.");
    assert_eq!(words(idle.call::<()>("local", "x", ()).await), told("It cannot call method x of plugin local."));
    assert_eq!(words(idle.cancel("local", Some("x")).await), told("It cannot cancel method x of plugin local."));
    assert_eq!(words(idle.on("local", "e", || {})), told("It cannot listen on event e of plugin local."));
    assert_eq!(words(idle.once("local", "e", || {})), told("It cannot listen on event e of plugin local."));
    assert_eq!(words(idle.off("local", "e")), told("All event listeners are already removed."));
    assert_eq!(words(idle.emit("e", ()).await), told("It cannot emit the event e"));
}

#[tokio::test(start_paused = true)]
async fn operations_without_a_connection_or_engine_fail() {
    let (_peer, link) = scripted_link();
    let (client, _link) = connect(link, named("p"), ClientConfig::default());
    assert!(words(client.call::<()>("x", "y", ()).await).starts_with("Not connected to the IDE. "));
    assert!(words(client.emit("e", ()).await).starts_with("Not connected to the IDE. "));
    assert_eq!(refusal(client.cancel("x", None).await), Refusal::NotConnected);

    let host = Host::new().await;
    let local = host.local.clone();
    drop(host);
    assert!(
        words(local.call::<()>("x", "y", ()).await).starts_with("Cannot use method \"call\" from plugin \"local\".")
    );
    assert!(matches!(refusal(local.on("x", "e", || {})), Refusal::EngineGone { operation: "on", .. }));
}

#[tokio::test(start_paused = true)]
async fn only_native_callers_receive_the_kind_of_a_refusal() {
    let host = Host::new().await;
    for (name, native) in [("native", true), ("published", false)] {
        let (mut peer, _peers) = host.add_scripted(name, &[], native).await;
        peer.send(json!({"action": "call", "id": 9, "name": "missing.sub", "key": "x", "payload": [1]}));
        let mut expected = json!({
            "action": "response", "id": 9, "name": "missing.sub", "key": "x",
            "error": format!("Cannot call missing from {name}, because missing is not registered"),
        });
        if native {
            expected["errorKind"] = "refused".into();
        }
        assert_eq!(peer.recv().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_derived_from_a_published_engines_text() {
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), false).await;
    for (error, kind) in [
        ("[TIMEOUT] Timeout for call y from p", "TimedOut"),
        ("[CANCEL] Canceled call y from p", "Cancelled"),
        ("Cannot call x from p, because x is not registered", "Refused"),
        ("p cannot call y of x, because x is not activated yet", "Refused"),
        ("it failed", "Plugin"),
    ] {
        let caller = client.clone();
        let call = tokio::spawn(async move { caller.call::<()>("x", "y", ()).await });
        let request = engine.recv().await;
        engine.send(json!({"action": "response", "id": request["id"], "name": "x", "key": "y", "error": error}));
        let outcome = call.await.unwrap().unwrap_err();
        assert!(format!("{outcome:?}").starts_with(kind), "{outcome:?}");
        assert_eq!(outcome.to_string(), format!("Error from IDE : {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_to_an_unresponsive_engine_times_out() {
    let mut config = ClientConfig::default();
    config.call_timeout = Duration::from_secs(7);
    config.max_calls = 1;
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), config, true).await;
    let caller = client.clone();
    let began = tokio::time::Instant::now();
    let call = tokio::spawn(async move { caller.call::<()>("x", "y", ()).await });
    settle().await;
    assert!(matches!(refusal(client.call::<()>("x", "z", ()).await), Refusal::Busy { waiting: 1, .. }));
    assert!(matches!(call.await.unwrap(), Err(CallError::TimedOut(_))));
    assert_eq!(began.elapsed().as_secs(), 7);
    let id = engine.recv().await["id"].clone();
    assert_eq!(engine.all().await, [json!({"action": "cancel", "id": id})]);
}

#[tokio::test(start_paused = true)]
async fn a_result_of_another_type_names_target_and_method() {
    let host = Host::new().await;
    host.add(|| named("far")).await;
    let error = host.local.call::<i64>("far", "echo", ("text",)).await.unwrap_err();
    assert!(matches!(&error, CallError::Result(_)));
    assert!(error.to_string().starts_with("echo of far returned a result of an unexpected type: invalid type: string"));
}

#[tokio::test(start_paused = true)]
async fn a_falsy_error_is_not_an_error() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["echo"], false).await;
    for nothing in [json!(null), json!(""), json!(0), json!(false)] {
        let call = host.start::<Payload>("far", "echo", ());
        let request = peer.recv().await;
        peer.send(json!({"action": "response", "id": request["id"], "payload": 1, "error": nothing}));
        assert_eq!(call.await.unwrap().unwrap().read::<i64>().unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn asking_the_user_names_the_correct_caller_after_a_nested_call() {
    use connector_core::{Context, Engine, Policy, async_trait};
    struct OnlyFriend(Notes);
    #[async_trait]
    impl Policy for OnlyFriend {
        async fn can_call(&self, from: &str, to: &str, method: &str, message: Option<&str>) -> bool {
            self.0.add(json!([from, to, method, message]));
            from == "friend"
        }
    }
    let asked = Notes::default();
    let host = Host::with(Engine::builder().policy(OnlyFriend(asked.clone())).build()).await;
    let friend = host.engine.register(Plugin::new("friend")).unwrap();
    host.engine.manager().activate("friend").await.unwrap();
    let guarded = || {
        named("guarded").method("delete", |ctx: Context| async move {
            ctx.client().call::<Value>("near", "echo", (1,)).await?;
            if ctx.ask_user_permission("secret", None).await? {
                return Ok(true);
            }
            ctx.ask_user_permission("delete", Some("really?")).await
        })
    };
    host.engine.register(named("near")).unwrap();
    host.add_with(PluginOptions::default().concurrency(2), guarded).await;
    let mine = host.start::<bool>("guarded", "delete", ());
    assert!(soon(friend.call::<bool>("guarded", "delete", ())).await.unwrap());
    assert!(!mine.await.unwrap().unwrap(), "refused, and asked although an inner call was awaited");
    let mut asked = asked.take();
    asked.sort_by_key(Value::to_string);
    assert_eq!(asked, ["friend", "local"].map(|from| json!([from, "guarded", "delete", "really?"])));
}
