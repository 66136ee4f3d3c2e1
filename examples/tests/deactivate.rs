//! A plugin that does not know `canDeactivate` agrees when another plugin requests its deactivation.
#![cfg(all(feature = "ipc", feature = "ws"))]

mod support;

use std::time::Duration;

use conformance::local;
use connector_core::{Engine, Policy, Profile, Registration, async_trait};
use support::{End, Plugin, need, published_packages};
use tokio::time::timeout;
use transport_ipc::{Program, child};

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(30);

/// Any plugin may deactivate any other that agrees.
struct Permissive;

#[async_trait]
impl Policy for Permissive {
    async fn can_deactivate(&self, _: &Profile, _: &Profile) -> bool {
        true
    }
}

async fn is_deactivated_by_another(name: &'static str, plugin: impl Into<Registration>) {
    let engine = Engine::builder().policy(Permissive).build();
    let local = engine.register(local()).unwrap();
    engine.register(plugin).unwrap();
    engine.manager().activate("local").await.unwrap();
    timeout(LIMIT, engine.manager().activate(name)).await.expect("the activation hangs").unwrap();
    let requested = local.call::<()>("manager", "deactivatePlugin", (name,));
    timeout(LIMIT, requested).await.expect("the deactivation hangs").unwrap();
    assert!(!engine.manager().is_active(name));
    timeout(LIMIT, engine.shutdown()).await.expect("the shutdown hangs");
}

#[tokio::test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
async fn the_plugin_in_python_agrees() {
    need("python3");
    let program = Program::new("python3").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/plugin.py"));
    is_deactivated_by_another("python", child("python", program)).await;
}

#[tokio::test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn the_published_websocket_plugin_agrees() {
    published_packages();
    let plugin = Plugin::start(End::JavaScript("ws-plugin.js"), 0);
    is_deactivated_by_another("probe", transport_ws::plugin("probe", &plugin.url)).await;
}
