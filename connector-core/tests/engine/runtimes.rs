//! An engine without a runtime, and one that outlives it.

use connector_core::{ActivateError, Engine, LinkState, Plugin, PluginOptions};

use crate::support::{Notes, permissive_host as host, settle, soon};

#[tokio::test(start_paused = true)]
async fn an_engine_without_a_runtime_returns_an_error() {
    let engine = Engine::new();
    engine.register(Plugin::new("p")).unwrap();
    let outcome = std::thread::spawn(move || futures_util::FutureExt::now_or_never(engine.manager().activate("p")));
    let outcome = tokio::task::spawn_blocking(move || outcome.join().unwrap()).await.unwrap();
    assert!(matches!(outcome, Some(Err(ActivateError::NoRuntime))), "{outcome:?}");
}

#[test]
fn an_engine_outlives_its_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (first, notes) = (runtime(), Notes::default());
    let off = notes.clone();
    let engine = first.block_on(async {
        let host = host().await;
        host.add(|| Plugin::new("far").method("m", || async { 1 })).await;
        let near = Plugin::new("near").on_deactivation(move |_| {
            off.add("off");
            async {}
        });
        host.engine.register(near).unwrap();
        host.engine.manager().activate("near").await.unwrap();
        let _silent = host.register_scripted("silent", PluginOptions::default());
        let manager = host.engine.manager();
        tokio::spawn(async move { manager.activate("silent").await });
        settle().await;
        host.engine
    });
    drop(first);
    let manager = engine.manager();
    assert!(!manager.is_active("far") && !manager.is_active("silent"));
    assert!(matches!(*engine.link_state("far").unwrap().borrow(), LinkState::Inactive));
    assert!(manager.is_active("near"), "it needs no runtime");
    let second = runtime();
    second.block_on(async {
        soon(manager.activate("far")).await.unwrap_err();
        soon(engine.shutdown()).await;
    });
    assert_eq!(notes.take(), ["off"]);
    drop(engine);
    drop(second);
}
