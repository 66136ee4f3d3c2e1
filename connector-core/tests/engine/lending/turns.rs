//! In the queue of a lent plugin, a borrower is one caller.

use std::time::Duration;

use conformance::memory;
use connector_core::{ClientConfig, Context, Plugin, PluginOptions, Replicas, serve};

use super::Party;
use crate::support::{Notes, settle};

/// Also over several links, each of which is lent by itself.
#[tokio::test(start_paused = true)]
async fn a_borrower_with_several_links_takes_turns_as_one_caller() {
    let (home, away) = (Party::new("home").await, Party::new("away").await);
    let served = Notes::default();
    let notes = served.clone();
    let desk = Plugin::new("desk").method("serve", move |ctx: Context| {
        notes.add(ctx.from());
        tokio::time::sleep(Duration::from_millis(100))
    });
    home.host.engine.register(desk).unwrap();
    let mut replicas = Replicas::new("desk");
    for name in ["a", "b", "c"] {
        let lent = home.host.engine.lend("desk", "away").unwrap();
        let (connector, accepts, _) = memory();
        replicas = replicas.replica(name, "memory://", connector);
        tokio::spawn(serve(accepts, move || lent.clone(), ClientConfig::default()));
    }
    let options = PluginOptions::default().engine_name("away").concurrency(10);
    away.host.engine.register(replicas.options(options)).unwrap();
    away.host.engine.manager().activate("desk").await.unwrap();
    settle().await;
    let mut calls = vec![home.host.start::<()>("desk", "serve", ())];
    settle().await;
    calls.extend((0..6).map(|_| away.host.start("desk", "serve", ())));
    settle().await;
    calls.extend((0..3).map(|_| home.host.start("desk", "serve", ())));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let (l, a) = ("local", "away/local");
    assert_eq!(served.take(), [l, a, l, a, l, a, l, a, a, a]);
}
