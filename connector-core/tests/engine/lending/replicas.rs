//! A plugin with replicas may be lent, and a replica may be a plugin that another engine lends.

use std::sync::Arc;

use conformance::{memory, probe};
use connector_core::{ClientConfig, Plugin, PluginOptions, Registration, Replicas, serve};
use serde_json::json;
use tokio::sync::Barrier;

use super::Party;
use super::chains::{relay, via};
use crate::reentrancy::meet;
use crate::support::{Notes, settle, soon};

/// A plugin with one replica, which this program serves.
fn replicated(party: &Party, plugin: impl Fn() -> Plugin + Send + 'static) {
    let (connector, accepts, _) = memory();
    let replicas = Replicas::new(plugin().name()).replica("one", "memory://", connector);
    let options = PluginOptions::default().engine_name(party.name);
    party.host.engine.register(Registration::from(replicas).options(options)).unwrap();
    tokio::spawn(serve(accepts, plugin, ClientConfig::default()));
}

/// The only replica of the borrower's plugin is the lender's.
fn lend(lender: &Party, plugin: &str, borrower: &Party) {
    let lent = lender.host.engine.lend(plugin, borrower.name).unwrap();
    replicated(borrower, move || lent.clone());
}

#[tokio::test(start_paused = true)]
async fn work_that_comes_back_does_not_wait_for_itself() {
    let (a, b) = (Party::new("a").await, Party::new("b").await);
    replicated(&a, || relay("x"));
    replicated(&b, || relay("y"));
    lend(&a, "x", &b);
    lend(&b, "y", &a);
    assert_eq!(via(&a, "x", &["y", "x"]).await.unwrap(), json!(["local", "a/x", "b/y"]));
    via(&a, "y", &["x", "y", "x"]).await.unwrap();
    via(&b, "x", &["y", "x", "x", "y"]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn crossing_calls_do_not_deadlock() {
    let (a, b) = (Party::new("a").await, Party::new("b").await);
    let barrier = Arc::new(Barrier::new(2));
    for (party, name, other) in [(&a, "p", "q"), (&b, "q", "p")] {
        let barrier = Arc::clone(&barrier);
        replicated(party, move || meet(name, other, Arc::clone(&barrier)));
    }
    lend(&a, "p", &b);
    lend(&b, "q", &a);
    a.host.engine.manager().activate("q").await.unwrap();
    b.host.engine.manager().activate("p").await.unwrap();
    let (one, two) = soon(async {
        tokio::join!(a.host.local.call::<i64>("p", "cross", ()), b.host.local.call::<i64>("q", "cross", ()))
    })
    .await;
    assert_eq!((one.unwrap(), two.unwrap()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn events_reach_who_listens() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    replicated(&home, probe);
    lend(&home, "probe", &away);
    let heard = Notes::default();
    assert_eq!(away.host.local.call::<i64>("probe", "add", (2, 3)).await.unwrap(), 5);
    away.host.local.on("probe", "open", heard.listener()).unwrap();
    settle().await;
    for n in 0..2 {
        home.host.local.call::<bool>("probe", "fire", ("open", n)).await.unwrap();
        settle().await;
        away.host.local.off("probe", "open").unwrap();
        settle().await;
    }
    assert_eq!(heard.take(), [json!([0])]);
}
