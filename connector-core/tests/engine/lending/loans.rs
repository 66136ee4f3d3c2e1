//! What a borrower sees of a lent plugin, and what its own engine sees of the borrower.

use std::time::Duration;

use conformance::links;
use conformance::{EXPECTED, SCRIPT, Script, probe, run_script};
use connector_core::{
    Access, CallError, Context, Engine, ErrorKind, Fault, LendError, Operation, Plugin, PluginOptions, Profile,
    RegisterError, TraceContext,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::Party;
use super::chains::{message, scripted_borrower};
use crate::support::{Notes, OnDrop, settle, soon};

/// `probe` of `home`, lent to `away`.
async fn lent_probe() -> (Party, Party) {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    home.host.engine.register(probe()).unwrap();
    home.lend("probe", &away);
    (home, away)
}

#[tokio::test(start_paused = true)]
async fn a_lent_plugin_is_called_like_any_other() {
    let (home, away) = lent_probe().await;
    let local = &away.host.local;
    assert_eq!(local.call::<i64>("probe", "add", (2, 3)).await.unwrap(), 5);
    assert!(home.host.engine.manager().is_active("probe"), "activated by the call");
    assert_eq!(local.call::<String>("probe.tools", "ping", ()).await.unwrap(), "pong");
    let who: Value = local.call("probe", "whoami", ()).await.unwrap();
    assert_eq!(who, json!({"from": "away/local", "path": "probe"}));
    let error = local.call::<Value>("probe", "fail", ("on purpose",)).await.unwrap_err();
    assert_eq!(error.to_string(), "on purpose");
    let error = local.call::<Value>("probe", "slow", ("x", 1)).await.unwrap_err();
    assert!(error.is_bad_arguments(), "{error}");
}

/// The probe's own calls and subscriptions happen at home, which therefore borrows the script's `local`.
#[tokio::test(start_paused = true)]
async fn the_script_through_a_lent_probe_prints_the_same_lines() {
    let (home, away) = (Engine::new(), Engine::new());
    home.register(probe()).unwrap();
    for (lender, plugin, borrower, name) in [(&home, "probe", &away, "away"), (&away, "local", &home, "home")] {
        let lent = lender.lend(plugin, name).unwrap();
        let (connector, accepts, _) = conformance::memory();
        let profile = connector_core::ExternalProfile::new(plugin, "memory://");
        let registration = connector_core::Registration::behind(profile, connector);
        borrower.register(registration.options(PluginOptions::default().engine_name(name))).unwrap();
        tokio::spawn(connector_core::serve(accepts, move || lent.clone(), Default::default()));
    }
    let mut lines = vec![];
    run_script(&away, &Script::parse(SCRIPT).unwrap(), |line| lines.push(line)).await.unwrap();
    assert_eq!(lines.len(), EXPECTED.lines().count());
    for (number, (line, expected)) in lines.iter().zip(EXPECTED.lines()).enumerate() {
        let expected =
            expected.replace("Error from IDE : ", "").replace(r#"{"from":"local""#, r#"{"from":"away/local""#);
        match number {
            // The last occurrence comes from home, and the script does not wait for it.
            27 => assert_eq!(line, r#"{"step":27,"do":"heard","ok":[]}"#),
            _ => assert_eq!(line, &expected),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn permission_is_asked_at_home() {
    let engine = Engine::builder()
        .access_rule("guests-add-only", |access: &Access<'_>| match access.operation {
            Operation::Call { method, .. } => !access.from.starts_with("away/") || method == "add",
            Operation::Listen { event } => access.from != "away/manager" || event == "open",
            Operation::Activate => access.from == "away/local" || access.from == "manager",
            _ => false,
        })
        .build();
    let (home, away) = (Party::with("home", engine).await, Party::new("away").await);
    home.host.engine.register(probe()).unwrap();
    home.lend("probe", &away);
    let local = &away.host.local;
    assert_eq!(local.call::<i64>("probe", "add", (2, 3)).await.unwrap(), 5);
    let error = local.call::<Value>("probe", "echo", (1,)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"away/local\" may not call \"echo\" of \"probe\": the host's rule \"guests-add-only\" does not allow it"
    );
    let heard = Notes::default();
    for event in ["open", "secret"] {
        local.on("probe", event, heard.listener()).unwrap();
    }
    settle().await;
    for event in ["secret", "open"] {
        home.host.local.call::<bool>("probe", "fire", (event, event)).await.unwrap();
    }
    settle().await;
    assert_eq!(heard.take(), [json!(["open"])]);
}

#[tokio::test(start_paused = true)]
async fn another_engine_is_refused() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    home.host.engine.register(probe()).unwrap();
    let lent = home.host.engine.lend("probe", "away").unwrap();
    for (name, expected) in [
        (Some("other"), "probe is not lent to the engine \"other\" here"),
        (None, "probe is lent to engines that name themselves: set the engine's name in the options of the plugin"),
    ] {
        let options = name.map_or_else(PluginOptions::default, |name| PluginOptions::default().engine_name(name));
        let lent = lent.clone();
        away.host.register(options, move || lent.clone());
        let error = away.host.engine.manager().activate("probe").await.unwrap_err();
        assert_eq!(error.to_string(), format!("plugin \"probe\" refused the handshake: {expected}"));
        away.host.engine.remove("probe").await;
    }
    assert!(!home.host.engine.manager().is_active("probe"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_lent() {
    let engine = Engine::new();
    assert_eq!(engine.lend("manager", "away").unwrap_err(), LendError::Manager);
    for name in ["", "a/b", &"x".repeat(1025)] {
        assert!(matches!(engine.lend("probe", name), Err(LendError::BadName(_))), "{name}");
    }
    let lent = engine.lend("probe", "away").unwrap();
    assert_eq!(engine.register(lent).unwrap_err(), RegisterError::Lent("probe".to_owned()));
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    home.lend("nobody", &away);
    let error = away.host.engine.manager().activate("nobody").await.unwrap_err();
    assert!(error.to_string().ends_with("Cannot active plugin nobody because it's not registered yet"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_the_plugin_at_home_is_seen_with_its_reason() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    let switch = home.host.register(PluginOptions::default(), probe);
    home.lend("probe", &away);
    let slow = || away.host.start::<Value>("probe", "slow", (5000, "late"));
    // Behind a link at home, its methods are not known before it is activated.
    assert_eq!(away.host.local.call::<i64>("probe", "add", (2, 3)).await.unwrap(), 5);
    let call = slow();
    settle().await;
    switch.cut();
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(error.to_string().starts_with("the link to \"probe\" was lost: "), "{error}");
    assert_eq!(error.kind(), ErrorKind::LinkLost);
    sleep(Duration::from_secs(2)).await;
    let call = slow();
    settle().await;
    home.host.engine.manager().deactivate("probe").await.unwrap();
    let error = soon(call).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "away/local cannot call slow of probe, because probe is not activated yet");
    assert_eq!(error.kind(), ErrorKind::Refused);
    let call = slow();
    settle().await;
    home.host.engine.remove("probe").await;
    soon(call).await.unwrap().unwrap_err();
    let error = away.host.local.call::<Value>("probe", "add", (2, 3)).await.unwrap_err();
    assert_eq!(error.to_string(), "Cannot call probe from away/local, because probe is not registered");
    assert_eq!(error.kind(), ErrorKind::Refused);
    let call = away.host.start::<Value>("probe", "add", (2, 3));
    drop(home);
    soon(call).await.unwrap().unwrap_err();
    settle().await;
    assert!(!away.host.engine.link_state("probe").unwrap().borrow().is_up(), "the lender has closed the link");
}

#[tokio::test(start_paused = true)]
async fn new_methods_are_told() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    let client = home.host.engine.register(Plugin::new("tools").method("old", || async { 1 })).unwrap();
    home.lend("tools", &away);
    let local = &away.host.local;
    assert_eq!(local.call::<i64>("tools", "old", ()).await.unwrap(), 1);
    let service = connector_core::Service::new().method("fresh", || async { 2 });
    client.create_service("more", service).await.unwrap();
    settle().await;
    assert_eq!(local.call::<i64>("tools.more", "fresh", ()).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn events_are_subscribed_to_at_home_only_while_somebody_listens() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    let emitter = home.host.engine.register(Plugin::new("clock")).unwrap();
    home.host.engine.manager().activate("clock").await.unwrap();
    let switch = home.lend("clock", &away);
    let (heard, subscribers) = (Notes::default(), Notes::default());
    let _observing = home.host.engine.observe({
        let subscribers = subscribers.clone();
        move |observation: &connector_core::Observation<'_>| {
            if let connector_core::Observation::Event { emitter: "clock", listeners, .. } = observation {
                subscribers.add(*listeners);
            }
        }
    });
    let ticks = async |n: i64| {
        emitter.emit("tick", (n,)).await.unwrap();
        settle().await;
    };
    let local = &away.host.local;
    local.on("clock", "tick", heard.listener()).unwrap();
    ticks(0).await;
    away.host.engine.manager().activate("clock").await.unwrap();
    settle().await;
    ticks(1).await;
    local.on("clock", "tick", heard.listener()).unwrap();
    local.once("clock", "other", heard.listener()).unwrap();
    local.off("clock", "tick").unwrap();
    settle().await;
    ticks(2).await;
    assert_eq!((heard.take(), subscribers.take()), (vec![json!([1]), json!([1])], vec![json!(0), json!(1), json!(0)]));
    // The last occurrence is the one at home, not the last that was heard.
    local.once("clock", "tick", heard.listener()).unwrap();
    settle().await;
    assert_eq!(heard.take(), [json!([2])]);
    ticks(3).await;
    assert_eq!(heard.take(), [] as [Value; 0]);
    local.on("clock", "tick", heard.listener()).unwrap();
    settle().await;
    switch.cut();
    sleep(Duration::from_secs(2)).await;
    heard.take();
    ticks(4).await;
    assert_eq!(heard.take(), [json!([4])], "a new link begins with all subscriptions");
    subscribers.take();
    away.host.engine.manager().deactivate("clock").await.unwrap();
    settle().await;
    ticks(5).await;
    assert_eq!(subscribers.take(), [json!(0)], "the loan has ended");
}

#[tokio::test(start_paused = true)]
async fn a_borrower_that_repeats_itself_hears_each_event_once() {
    let home = Party::new("home").await;
    let emitter =
        home.host.engine.register(Plugin::new("clock").method("wind", || async { Ok::<_, Fault>(()) })).unwrap();
    home.host.engine.manager().activate("clock").await.unwrap();
    let mut away = scripted_borrower(&home, "clock", "away").await;
    let mut received_after = async |actions: &[&str], n: i64| {
        for action in actions {
            links::send(&mut away, message(&json!({"action": action, "name": "clock", "key": "tick"}))).await.unwrap();
        }
        settle().await;
        emitter.emit("tick", (n,)).await.unwrap();
        let mut numbers = Vec::new();
        while let Ok(received) = timeout(Duration::from_millis(100), links::next(&mut away)).await {
            let received: Value = serde_json::from_slice(&received.unwrap().unwrap().encode().unwrap()).unwrap();
            numbers.push(received["payload"][0].as_i64().unwrap());
        }
        numbers
    };
    assert_eq!(received_after(&["on", "on"], 1).await, [1]);
    assert_eq!(received_after(&["on"], 2).await, [2], "what is stored is not sent again");
    assert_eq!(received_after(&["off", "off"], 3).await, [] as [i64; 0]);
    assert_eq!(received_after(&["off", "on", "on"], 4).await, [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_drop_and_a_deadline_reach_home_and_so_does_the_end_of_the_borrower() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    let ended = Notes::default();
    let notes = ended.clone();
    let forever = move |ctx: Context| {
        let notes = notes.clone();
        async move {
            let _ended = OnDrop(notes.clone(), "ended");
            notes.add(ctx.time_left().map(|left| left.as_millis() as u64));
            std::future::pending::<()>().await
        }
    };
    home.host.engine.register(Plugin::new("idle").method("forever", forever)).unwrap();
    home.lend("idle", &away);
    away.host.engine.manager().activate("idle").await.unwrap();
    let call = away.host.start::<()>("idle", "forever", ());
    settle().await;
    call.abort();
    settle().await;
    assert_eq!(ended.take(), [json!(10_000), json!("ended")]);
    let began = Instant::now();
    let limit = Duration::from_millis(300);
    let error = away.host.local.call_within::<()>(limit, "idle", "forever", ()).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut(_)) && began.elapsed() == limit, "{error} {:?}", began.elapsed());
    settle().await;
    assert_eq!(ended.take(), [json!(300), json!("ended")]);
    let _call = away.host.start::<()>("idle", "forever", ());
    settle().await;
    drop(away);
    settle().await;
    assert_eq!(ended.take(), [json!(10_000), json!("ended")]);
}

#[tokio::test(start_paused = true)]
async fn the_trace_passes_through() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    let trace = |ctx: Context| async move { ctx.trace().map(|trace| trace.traceparent().to_owned()) };
    home.host.engine.register(Plugin::new("traced").method("trace", trace)).unwrap();
    home.lend("traced", &away);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let client = away.host.local.with_trace(TraceContext::new(parent, None).unwrap());
    assert_eq!(client.call::<Option<String>>("traced", "trace", ()).await.unwrap().as_deref(), Some(parent));
}

#[tokio::test(start_paused = true)]
async fn the_policy_at_home_sees_the_guest() {
    struct Notice(Notes);
    #[connector_core::async_trait]
    impl connector_core::Policy for Notice {
        async fn can_activate(&self, from: &Profile, to: &Profile, method: Option<&str>) -> bool {
            self.0.add(json!([from.name, to.name, method]));
            to.name != "locked"
        }
    }
    let asked = Notes::default();
    let engine = Engine::builder().policy(Notice(asked.clone())).build();
    let (home, away) = (Party::with("home", engine).await, Party::new("away").await);
    for name in ["probe", "locked"] {
        home.host.engine.register(Plugin::new(name).method("m", || async {})).unwrap();
        home.lend(name, &away);
    }
    home.host.register(PluginOptions::default(), || Plugin::new("remote").method("m", || async {}));
    home.lend("remote", &away);
    asked.take();
    away.host.local.call::<()>("probe", "m", ()).await.unwrap();
    let error = away.host.local.call::<()>("locked", "m", ()).await.unwrap_err();
    assert_eq!(error.to_string(), "away/local cannot call m of locked, because locked is not activated yet");
    away.host.local.call::<()>("remote", "m", ()).await.unwrap();
    assert_eq!(
        asked.take(),
        [
            json!(["away/local", "probe", "m"]),
            json!(["away/local", "locked", "m"]),
            json!(["away/manager", "remote", null])
        ]
    );
}
