//! The state of a plugin with replicas.

use std::time::Duration;

use conformance::{EXPECTED, MemoryPlugin, SCRIPT, Script, probe, run_script};
use connector_core::{ActivateError, CallError, Engine, LinkState, Plugin, PluginOptions, Refusal, Replicas};
use serde_json::json;

use super::{Place, Program, named, options, who, with_replicas};
use crate::support::{Host, Notes, settle, soon};

const HEALED: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_plugin_with_one_replica_behaves_as_one_with_a_link() {
    let (engine, (_program, connector)) = (Engine::new(), Program::start(probe));
    engine.register(Replicas::new("probe").replica("only", "memory:", connector)).unwrap();
    let mut lines = vec![];
    run_script(&engine, &Script::parse(SCRIPT).unwrap(), |line| lines.push(line)).await.unwrap();
    let expected: Vec<_> = EXPECTED.lines().collect();
    assert_eq!(lines[..expected.len().min(lines.len())], expected[..expected.len().min(lines.len())]);
    assert!(lines.len() >= expected.len());
}

#[tokio::test(start_paused = true)]
async fn the_first_replica_activates_the_plugin_and_others_join_it() {
    let host = Host::new().await;
    let (later, (_a, a)) = (Place::default(), Program::start(|| named("a")));
    let replicas = Replicas::new("p").replica("b", "memory:", later.clone()).replica("a", "memory:", a);
    host.engine.register(replicas).unwrap();
    soon(host.engine.manager().activate("p")).await.unwrap();
    assert_eq!([who(&host).await, who(&host).await], ["a", "a"]);
    // Longer than the limit of an activation.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (_b, connector) = Program::start(|| named("b"));
    later.leads_to(Some(connector));
    tokio::time::sleep(HEALED).await;
    assert_ne!(who(&host).await, who(&host).await);
}

#[tokio::test(start_paused = true)]
async fn an_activation_fails_when_no_replica_can_be_reached() {
    let host = Host::new().await;
    let replicas =
        Replicas::new("p").replica("a", "memory://a", Place::default()).replica("b", "memory://b", Place::default());
    host.engine.register(replicas).unwrap();
    let failed = soon(host.engine.manager().activate("p")).await.unwrap_err();
    assert!(matches!(&failed, ActivateError::Connect { url, .. } if url.starts_with("memory://")), "{failed}");
    assert!(!host.engine.manager().is_active("p"));
    let refused = host.local.call::<()>("p", "who", ()).await.unwrap_err();
    assert!(refused.to_string().contains("nobody is there"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_activation_waits_for_replicas_that_may_answer() {
    let host = Host::new().await;
    let (silent, _accepts, _switch) = conformance::memory();
    let replicas = Replicas::new("p").replica("a", "memory://a", Place::default()).replica("b", "memory://b", silent);
    host.engine.register(replicas).unwrap();
    let activation = host.start_activation("p");
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert!(!activation.is_finished());
    let failed = activation.await.unwrap().unwrap_err();
    assert!(matches!(&failed, ActivateError::NoHandshake { .. } | ActivateError::Connect { .. }), "{failed:?}");
    let activation = host.start_activation("p");
    settle().await;
    host.engine.manager().deactivate("p").await.unwrap();
    assert!(matches!(activation.await.unwrap(), Err(ActivateError::Interrupted(_))));
}

#[tokio::test(start_paused = true)]
async fn the_plugin_is_down_while_all_replicas_are() {
    let (host, programs) = with_replicas(&["a", "b"], options()).await;
    let (ups, downs) = (Notes::default(), Notes::default());
    host.local.on("manager", "linkUp", ups.listener()).unwrap();
    host.local.on("manager", "linkDown", downs.listener()).unwrap();
    let state = host.engine.link_state("p").unwrap();
    programs[0].die();
    settle().await;
    assert!(state.borrow().is_up());
    assert_eq!(downs.take(), [json!(["p", "cut", "a"])]);
    programs[1].die();
    settle().await;
    assert!(matches!(&*state.borrow(), LinkState::Down { tries: 0.., .. }));
    assert_eq!(downs.take(), [json!(["p", "cut", "b"])]);
    assert!(host.engine.manager().is_active("p"));
    let lost = soon(host.local.call::<String>("p", "who", ())).await.unwrap_err();
    assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
    tokio::time::sleep(HEALED).await;
    assert!(matches!(&*state.borrow(), LinkState::Down { tries: 2.., .. }));
    programs.iter().for_each(Program::revive);
    tokio::time::sleep(HEALED).await;
    assert!(state.borrow().is_up());
    let mut up = ups.take();
    up.sort_unstable_by_key(ToString::to_string);
    assert_eq!(up, [json!(["p", "a"]), json!(["p", "b"])]);
    assert_ne!(who(&host).await, who(&host).await);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_is_deactivated_while_some_replicas_are_down() {
    let (host, programs) = with_replicas(&["a", "b", "c"], options()).await;
    programs[1].die();
    settle().await;
    let running = host.start::<String>("p", "work", (5000,));
    settle().await;
    soon(host.engine.manager().deactivate("p")).await.unwrap();
    let ended = soon(running).await.unwrap().unwrap_err();
    assert!(matches!(&ended, CallError::Refused(why) if matches!(**why, Refusal::NotActivated { .. })), "{ended:?}");
    assert!(programs.iter().all(|program| program.switch.open_links() == 0));
    assert!(matches!(*host.engine.link_state("p").unwrap().borrow(), LinkState::Inactive));
    programs[1].revive();
    tokio::time::sleep(HEALED).await;
    assert_eq!(programs[1].switch.open_links(), 0, "nobody dials");
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    assert!(programs.iter().all(|program| program.switch.open_links() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_or_a_dropped_engine_leaves_nothing() {
    for gracefully in [true, false] {
        let (host, programs) = with_replicas(&["a", "b", "c"], options()).await;
        let calls: Vec<_> = (0..3).map(|_| host.start::<String>("p", "work", (5000,))).collect();
        settle().await;
        if gracefully {
            soon(host.engine.shutdown()).await;
        } else {
            drop(host.engine);
        }
        settle().await;
        for call in calls {
            soon(call).await.unwrap().unwrap_err();
        }
        assert!(programs.iter().all(|program| program.switch.open_links() == 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_plugin_drops_its_connectors() {
    struct Counted(#[expect(dead_code)] std::sync::Arc<()>, MemoryPlugin);
    #[connector_core::async_trait]
    impl connector_core::PluginConnector for Counted {
        async fn connect(&mut self, url: &str) -> Result<Box<dyn connector_core::Link>, connector_core::ConnectError> {
            self.1.connect(url).await
        }
    }
    let (host, count) = (Host::new().await, std::sync::Arc::new(()));
    let (_program, connector) = Program::start(|| Plugin::new("p"));
    let replicas = Replicas::new("p").replica("a", "memory:", Counted(count.clone(), connector));
    let client = host.engine.register(replicas.options(PluginOptions::default())).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    assert_eq!(std::sync::Arc::strong_count(&count), 2);
    soon(host.engine.remove("p")).await;
    drop(client);
    settle().await;
    assert_eq!(std::sync::Arc::strong_count(&count), 1);
}
