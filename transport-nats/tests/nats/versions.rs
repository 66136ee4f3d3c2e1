//! Replicas that run different versions of a plugin.

use std::collections::HashSet;
use std::time::Duration;

use connector_core::{CallError, Plugin, PluginClient};
use transport_nats::replicas;

use crate::support::{Replica, broker, config, engine_of, within};

/// One method that both versions have, and one that only this one has.
fn version(name: &'static str, own: &'static str) -> impl Fn() -> Plugin + Send + 'static {
    move || Plugin::new("probe").method("version", move || async move { name }).method(own, move || async move { name })
}

async fn ask(local: &PluginClient, method: &str) -> Result<String, CallError> {
    within(local.call::<String>("probe", method, ())).await
}

/// Waits until these versions, and no others, run the method that all have.
async fn until_served_by(local: &PluginClient, versions: &[&str]) {
    let versions: HashSet<String> = versions.iter().map(|version| (*version).to_owned()).collect();
    within(async {
        loop {
            let mut seen = HashSet::new();
            for _ in 0..8 {
                seen.extend(ask(local, "version").await);
            }
            if seen == versions {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Several calls of each in a row, because idle replicas take turns.
async fn runs_where_it_is_listed(local: &PluginClient, methods: [(&str, &str); 2]) {
    for _ in 0..10 {
        for (method, version) in methods {
            for _ in 0..3 {
                assert_eq!(ask(local, method).await.unwrap(), version);
            }
        }
    }
}

#[tokio::test]
async fn a_call_goes_to_a_replica_whose_version_has_the_method() {
    let broker = broker();
    let _old = Replica::serve(version("old", "before"), config(&broker).replica("one")).await;
    let mut new = Replica::serve(version("new", "since"), config(&broker).replica("two")).await;
    let (_engine, local) = engine_of(replicas("probe", config(&broker)).unwrap()).await;
    until_served_by(&local, &["old", "new"]).await;
    runs_where_it_is_listed(&local, [("before", "old"), ("since", "new")]).await;
    // Only the method of the version that is gone fails.
    new.stop();
    until_served_by(&local, &["old"]).await;
    within(&mut new.serving).await.unwrap();
    assert_eq!(ask(&local, "before").await.unwrap(), "old");
    let failed = ask(&local, "since").await.unwrap_err();
    assert!(matches!(failed, CallError::Refused(_) | CallError::LinkLost(_)), "{failed:?}");
    // The next version has the same id.
    let _newer = Replica::serve(version("newer", "later"), config(&broker).replica("two")).await;
    until_served_by(&local, &["old", "newer"]).await;
    runs_where_it_is_listed(&local, [("before", "old"), ("later", "newer")]).await;
}
