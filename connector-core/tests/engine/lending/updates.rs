//! Updates of a lent plugin's methods at the borrower.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connector_core::{Engine, Plugin, Policy, Profile, Service, UpdateError, async_trait};
use serde_json::{Map, Value};

use super::Party;
use crate::support::settle;

/// Decides on updates at the borrower: the first takes for ever, the second is refused.
struct AtThird(Arc<AtomicUsize>);

#[async_trait]
impl Policy for AtThird {
    async fn can_update_profile(&self, _: &Profile, _: &Profile, _: &Map<String, Value>) -> Result<(), UpdateError> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => std::future::pending().await,
            1 => Err(UpdateError::Denied("not now".to_owned())),
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn new_methods_are_told_until_they_are_accepted() {
    let asked = Arc::<AtomicUsize>::default();
    let engine = Engine::builder().policy(AtThird(Arc::clone(&asked))).build();
    let (home, away) = (Party::new("home").await, Party::with("away", engine).await);
    let client = home.host.engine.register(Plugin::new("tools").method("old", || async { 1 })).unwrap();
    home.lend("tools", &away);
    let local = &away.host.local;
    assert_eq!(local.call::<i64>("tools", "old", ()).await.unwrap(), 1);
    client.create_service("more", Service::new().method("fresh", || async { 2 })).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(local.call::<i64>("tools.more", "fresh", ()).await.unwrap(), 2);
    settle().await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
