//! Which records are kept.

use connector_core::{Engine, Plugin, PluginClient};
use connector_inspect::{Capture, Filter, Kind, Recent};

async fn engine(recent: &Recent) -> (Engine, PluginClient, connector_core::Observing) {
    let engine = Engine::new();
    engine.register(Plugin::new("calc").method("echo", |text: String| async move { text })).unwrap();
    let app = engine.register(Plugin::new("app")).unwrap();
    engine.manager().activate("app").await.unwrap();
    engine.manager().activate("calc").await.unwrap();
    let observing = engine.observe(recent.clone());
    (engine, app, observing)
}

#[tokio::test]
async fn the_oldest_records_give_way_by_number_and_by_bytes() {
    let recent = Recent::new(Capture::new(), 7, 1 << 20);
    let (_engine, app, _observing) = engine(&recent).await;
    for _ in 0..10 {
        app.call::<String>("calc", "echo", ("x",)).await.unwrap();
    }
    let kept = recent.history(u64::MAX, 100, &Filter::default());
    assert_eq!((recent.newest(), kept.first, kept.more), (30, 24, false));
    assert_eq!(kept.records.iter().map(|record| record.seq).collect::<Vec<_>>(), (24..=30).collect::<Vec<_>>());

    let recent = Recent::new(Capture::new(), 1000, 50_000);
    let (_engine, app, _observing) = engine(&recent).await;
    for _ in 0..20 {
        app.call::<String>("calc", "echo", ("x".repeat(10_000),)).await.unwrap();
    }
    let kept = recent.history(u64::MAX, 100, &Filter::default()).records;
    let data = kept.iter().filter_map(|record| record.data.as_ref()).map(|data| data.get().len()).sum::<usize>();
    assert!((20_000..50_000).contains(&data), "{data}");
}

#[tokio::test]
async fn a_reader_sees_how_many_it_has_missed() {
    let recent = Recent::new(Capture::new(), 12, 1 << 20);
    let (_engine, app, _observing) = engine(&recent).await;
    let ended = Filter { kinds: Some(vec![Kind::CallEnded]), ..Filter::default() };
    for _ in 0..10 {
        app.call::<String>("calc", "echo", ("x",)).await.unwrap();
    }
    let read = recent.after(0, 100, &ended);
    assert_eq!((read.records.len(), read.missed, read.last), (4, 18, 30));
    let read = recent.after(0, 2, &ended);
    assert_eq!((read.records.iter().map(|record| record.seq).collect::<Vec<_>>(), read.missed), (vec![27, 30], 24));
    let read = recent.after(30, 2, &ended);
    assert_eq!((read.records.len(), read.missed, read.last), (0, 0, 30));
    // Nothing that matches is nothing missed.
    app.emit("x", ()).await.unwrap();
    let read = recent.after(30, 2, &ended);
    assert_eq!((read.records.len(), read.missed, read.last), (0, 0, 31));
    let past = recent.history(30, 1, &ended);
    assert_eq!((past.records[0].seq, past.more), (27, true));
}

#[tokio::test]
async fn a_filter_selects_by_plugin_kind_and_failure() {
    let recent = Recent::new(Capture::new(), 1000, 1 << 20);
    let (_engine, app, _observing) = engine(&recent).await;
    app.call::<String>("calc", "echo", ("x",)).await.unwrap();
    app.call::<String>("calc.tools", "missing", ()).await.unwrap_err();
    app.emit("opened", ()).await.unwrap();
    let count = |plugin: Option<&str>, kinds: Option<Vec<Kind>>, failed| {
        let filter = Filter { plugin: plugin.map(str::to_owned), kinds, failed };
        recent.history(u64::MAX, 100, &filter).records.len()
    };
    assert_eq!(count(None, None, false), 3 + 2 + 1);
    assert_eq!(count(Some("calc"), None, false), 5);
    assert_eq!(count(Some("app"), Some(vec![Kind::Event]), false), 1);
    assert_eq!((count(None, None, true), count(Some("other"), None, false)), (1, 0));
}
