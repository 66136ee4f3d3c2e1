//! Work that passes from one engine to another and comes back.

use std::sync::Arc;
use std::time::Duration;

use conformance::links::{self, TestLink};
use conformance::memory;
use connector_core::{
    CallError, CallOutcome, ClientConfig, ClientConnector, Context, Engine, ErrorKind, ExternalProfile, Message,
    Observation, Plugin, PluginConnector, PluginOptions, Registration, serve,
};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use super::Party;
use crate::reentrancy::meet;
use crate::support::{Notes, behind_memory, settle, soon};

/// Relays along a path of plugins: `via ["b", "a"]` calls `via ["a"]` of b, which calls `via []` of a.
pub(super) fn relay(name: &str) -> Plugin {
    Plugin::new(name).method("via", |ctx: Context, mut path: Vec<String>| async move {
        if path.is_empty() {
            return Ok::<Value, CallError>(json!([ctx.from()]));
        }
        let next = path.remove(0);
        let mut trail: Vec<Value> = ctx.client().call(&next, "via", (path,)).await?;
        trail.insert(0, ctx.from().into());
        Ok(trail.into())
    })
}

/// Engines that each have one plugin, in the process or behind a link, and lend it to all others.
async fn ring<const N: usize>(plugins: [(&'static str, &'static str); N], linked: bool) -> [Party; N] {
    let mut parties = Vec::new();
    for (engine, plugin) in plugins {
        let party = Party::new(engine).await;
        match linked {
            true => drop(behind_memory(&party.host.engine, PluginOptions::default(), move || relay(plugin))),
            false => drop(party.host.engine.register(relay(plugin)).unwrap()),
        }
        parties.push(party);
    }
    for (at, (_, plugin)) in plugins.iter().enumerate() {
        for (other, borrower) in parties.iter().enumerate() {
            if other != at {
                parties[at].lend(plugin, borrower);
            }
        }
    }
    parties.try_into().unwrap_or_else(|_| unreachable!())
}

pub(super) async fn via(party: &Party, first: &str, path: &[&str]) -> Result<Value, CallError> {
    let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
    soon(party.host.local.call(first, "via", (path,))).await
}

#[tokio::test(start_paused = true)]
async fn work_that_comes_back_does_not_wait_for_itself() {
    for linked in [false, true] {
        let [a, b] = ring([("a", "x"), ("b", "y")], linked).await;
        assert_eq!(via(&a, "x", &["y", "x"]).await.unwrap(), json!(["local", "a/x", "b/y"]));
        via(&a, "y", &["x", "y", "x"]).await.unwrap();
        via(&a, "x", &["y", "x", "y", "x", "y", "x"]).await.unwrap();
        via(&b, "x", &["y", "x", "x", "y"]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn over_three_engines() {
    for linked in [false, true] {
        let [a, _b, _c] = ring([("a", "x"), ("b", "y"), ("c", "z")], linked).await;
        assert_eq!(via(&a, "x", &["y", "z", "x"]).await.unwrap(), json!(["local", "a/x", "b/y", "c/z"]));
        via(&a, "z", &["y", "x", "z", "y"]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_plugin_may_be_lent() {
    let (a, b, c) = (Party::new("a").await, Party::new("b").await, Party::new("c").await);
    c.host.engine.register(relay("z")).unwrap();
    c.lend("z", &b);
    b.lend("z", &a);
    assert_eq!(via(&a, "z", &[]).await.unwrap(), json!(["b/a/local"]));
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_a_call_is_refused_with_its_chain() {
    for linked in [false, true] {
        let [a, _b] = ring([("a", "x"), ("b", "y")], linked).await;
        via(&a, "x", &["y", "x", "y", "x", "y", "x", "y", "x"]).await.unwrap();
        let error = via(&a, "x", &["y", "x", "y", "x", "y", "x", "y", "x", "y"]).await.unwrap_err();
        let text = error.to_string();
        let chain = "a/y → b/x → a/y → b/x → a/y → b/x → a/y → b/x → a/y";
        let end = format!(
            "Cannot call via of y from x: the work would pass from one engine to another 9 times, and may do so 8 times ({chain})"
        );
        assert!(text.ends_with(&end), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lender_has_a_limit_of_its_own() {
    let (a, b) = (Party::new("a").await, Party::with("b", Engine::builder().max_hops(0).build()).await);
    b.host.engine.register(relay("y")).unwrap();
    b.lend("y", &a);
    let refused = Notes::default();
    let told = refused.clone();
    let _observing = b.host.engine.observe(move |observation: &Observation<'_>| {
        if let Observation::CallEnded { call, ran: None, outcome: CallOutcome::Failed(error), .. } = observation {
            told.add(json!([call.from, call.to, call.method, error.kind()]));
        }
    });
    let error = via(&a, "y", &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Cannot call via of y from a/local: the work would pass from one engine to another 1 times, and may do so 0 times (a/y)"
    );
    assert_eq!((error.kind(), refused.take()), (ErrorKind::Refused, vec![json!(["a/local", "y", "via", "refused"])]));
}

/// A borrower whose frames the test writes, after its handshake.
pub(super) async fn scripted_borrower(lender: &Party, plugin: &str, name: &str) -> TestLink {
    let lent = lender.host.engine.lend(plugin, name).unwrap();
    let (mut connector, accepts, _) = memory();
    tokio::spawn(serve(accepts, move || lent.clone(), ClientConfig::default()));
    let mut link = connector.connect("").await.unwrap();
    let handshake =
        json!({"action": "request", "id": -2, "name": plugin, "key": "handshake", "payload": [plugin, name]});
    links::send(&mut link, message(&handshake)).await.unwrap();
    for id in [-1, -2] {
        assert_eq!(links::next_id(&mut link).await, id);
    }
    link
}

pub(super) fn message(json: &Value) -> Message {
    Message::decode(json.to_string().into()).unwrap()
}

fn via_request(id: i64, chain: Value) -> Message {
    let info = json!({"from": "y", "path": "x"});
    message(&json!({
        "action": "request", "id": id, "name": "x", "key": "via", "payload": [[]], "requestInfo": info, "callChain": chain
    }))
}

/// The chain of a call of `y` by `x`, which both are busy with, and the borrower of `x`.
async fn busy_with_y(a: &Party) -> (Value, TestLink, TestLink, JoinHandle<Result<Value, CallError>>) {
    a.host.engine.register(relay("x")).unwrap();
    let (connector, mut accepts, _) = memory();
    let profile = ExternalProfile::new("y", "memory://");
    let options = PluginOptions::default().engine_name("a");
    a.host.engine.register(Registration::behind(profile, connector).options(options)).unwrap();
    let call = a.host.start::<Value>("x", "via", (["y"],));
    let mut y = accepts.accept().await.unwrap();
    let id = links::next_id(&mut y).await;
    let extensions = ["cancelById", "errorKind", "callChain", "listeners"];
    let answer = json!({"action": "response", "id": id, "key": "handshake", "name": "y", "payload": ["via"], "extensions": extensions});
    links::send(&mut y, message(&answer)).await.unwrap();
    let request = links::next(&mut y).await.unwrap().unwrap();
    let request: Value = serde_json::from_slice(&request.encode().unwrap()).unwrap();
    let back = scripted_borrower(a, "x", "b").await;
    (request["callChain"].clone(), y, back, call)
}

#[tokio::test(start_paused = true)]
async fn only_a_chain_with_a_run_of_this_engine_passes_the_queue() {
    let a = Party::new("a").await;
    let (chain, _y, mut back, _call) = busy_with_y(&a).await;
    let [run] = [chain["runs"][0].as_str().unwrap()];
    assert!(run.starts_with("a/y#") && chain["hops"] == 1, "{chain}");
    let (_, number) = run.split_once('#').unwrap();
    let runs = |runs: &[&str]| json!({"hops": 1, "runs": runs});
    let forged = [
        runs(&["a/y#0000000000000000"]),
        runs(&["a/y#"]),
        runs(&["a/y"]),
        runs(&[&format!("a/x#{number}")]),
        runs(&[&format!("a/nobody#{number}"), "\u{0}", "", "#", "/#"]),
        json!({"hops": 1, "runs": 5}),
        json!("a/y"),
    ];
    for (id, forged) in forged.iter().enumerate() {
        links::send(&mut back, via_request(id as i64, forged.clone())).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_millis(100), links::next(&mut back)).await;
        assert!(answer.is_err(), "{forged}: {answer:?}");
    }
    links::send(&mut back, via_request(99, runs(&["c/other#12", run]))).await.unwrap();
    assert_eq!(links::next_id(&mut back).await, 99);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_ended_is_no_longer_known() {
    let a = Party::new("a").await;
    let (chain, y, mut back, call) = busy_with_y(&a).await;
    drop(y);
    call.await.unwrap().unwrap_err();
    a.host.engine.remove("y").await;
    let busy = Plugin::new("y").method("via", |_: Value| async { std::future::pending::<()>().await });
    a.host.engine.register(busy).unwrap();
    let _call = a.host.start::<Value>("x", "via", (["y"],));
    settle().await;
    links::send(&mut back, via_request(1, chain)).await.unwrap();
    settle().await;
    let silent = tokio::time::timeout(Duration::from_secs(5), links::next(&mut back)).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_published_plugin_sees_no_chain() {
    let a = Party::new("a").await;
    let (mut peer, _peers) = a.host.add_scripted("plain", &["via"], true).await;
    a.host.engine.register(relay("x")).unwrap();
    let _call = a.host.start::<Value>("x", "via", (["plain"],));
    let request = peer.recv().await;
    assert_eq!(request.get("callChain"), None, "{request}");
}

#[tokio::test(start_paused = true)]
async fn crossing_calls_do_not_deadlock() {
    for linked in [false, true] {
        let (a, b) = (Party::new("a").await, Party::new("b").await);
        let barrier = Arc::new(Barrier::new(2));
        for (party, name, other) in [(&a, "p", "q"), (&b, "q", "p")] {
            let barrier = Arc::clone(&barrier);
            let plugin = move || meet(name, other, Arc::clone(&barrier));
            match linked {
                true => drop(behind_memory(&party.host.engine, PluginOptions::default(), plugin)),
                false => drop(party.host.engine.register(plugin()).unwrap()),
            }
        }
        a.lend("p", &b);
        b.lend("q", &a);
        a.host.engine.manager().activate("q").await.unwrap();
        b.host.engine.manager().activate("p").await.unwrap();
        let (one, two) = soon(async {
            tokio::join!(a.host.local.call::<i64>("p", "cross", ()), b.host.local.call::<i64>("q", "cross", ()),)
        })
        .await;
        assert_eq!((one.unwrap(), two.unwrap()), (1, 1), "linked: {linked}");
    }
}

/// 200 callers at once, through plugins that run one call at a time: each call comes back, and then meets the others.
#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_there_and_back() {
    let options = || PluginOptions::default().queue_length(20_000).queue_timeout(Duration::from_secs(3600));
    let (a, b) = (Party::new("a").await, Party::new("b").await);
    for (party, name) in [(&a, "x"), (&b, "y")] {
        party.host.engine.register(relay(name).options(options())).unwrap();
    }
    a.lend_with(options(), "x", &b);
    b.lend_with(options(), "y", &a);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (party, first, path) = match n % 2 {
            0 => (&a, "x", ["y", "x", "y"]),
            _ => (&b, "y", ["x", "y", "x"]),
        };
        let local = party.host.local.clone();
        calls.spawn(async move {
            for _ in 0..50 {
                local.call::<Value>(first, "via", (path.map(str::to_owned).to_vec(),)).await.unwrap();
            }
        });
    }
    let all = async {
        while let Some(call) = calls.join_next().await {
            call.unwrap()
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("a deadlock");
}
