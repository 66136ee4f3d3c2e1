//! Replicas that come and go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_core::{
    CallError, ConnectError, LinkState, PlaceChange, Places, PluginConnector, Refusal, RegisterError, Replicas,
    async_trait,
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Place, Program, named, options, who};
use crate::support::{Host, Notes, settle, soon};

/// Places that a test tells of. Those that it has told of and not taken back are told again at the next activation.
struct Told {
    changes: mpsc::UnboundedReceiver<PlaceChange>,
    activations: Arc<Mutex<usize>>,
}

#[async_trait]
impl Places for Told {
    fn activated(&mut self) {
        *self.activations.lock().unwrap() += 1;
    }

    async fn next(&mut self) -> Option<PlaceChange> {
        self.changes.recv().await
    }

    fn searched(&self) -> String {
        "the directory".to_owned()
    }
}

struct Directory {
    changes: mpsc::UnboundedSender<PlaceChange>,
    activations: Arc<Mutex<usize>>,
}

impl Directory {
    fn new() -> (Directory, Told) {
        let ((changes, told), activations) = (mpsc::unbounded_channel(), Arc::<Mutex<usize>>::default());
        (Directory { changes, activations: Arc::clone(&activations) }, Told { changes: told, activations })
    }

    fn found(&self, replica: &'static str) -> Program {
        let (program, connector) = Program::start(move || named(replica));
        self.found_at(replica, connector);
        program
    }

    fn found_at(&self, replica: &str, connector: impl PluginConnector) {
        let (replica, url) = (replica.to_owned(), "memory:".to_owned());
        self.changes.send(PlaceChange::Found { replica, url, connector: Box::new(connector) }).unwrap();
    }

    fn draining(&self, replica: &str) {
        self.changes.send(PlaceChange::Draining { replica: replica.to_owned() }).unwrap();
    }

    fn search_failed(&self, error: ConnectError) {
        self.changes.send(PlaceChange::SearchFailed { url: "ws://u:pw@directory/secret".to_owned(), error }).unwrap();
    }

    fn gone(&self, replica: &str) {
        self.changes.send(PlaceChange::Gone { replica: replica.to_owned() }).unwrap();
    }
}

async fn host() -> (Host, Directory) {
    let (host, (directory, told)) = (Host::new().await, Directory::new());
    host.engine.register(Replicas::new("p").places(told).options(options())).unwrap();
    (host, directory)
}

/// Who answers six calls, sorted and once each.
async fn all(host: &Host) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(who(host).await);
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[tokio::test(start_paused = true)]
async fn replicas_join_and_leave_an_active_plugin() {
    let (host, directory) = host().await;
    let notes = Notes::default();
    host.local.on("manager", "linkUp", notes.listener()).unwrap();
    let activation = host.start_activation("p");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let a = directory.found("a");
    soon(activation).await.unwrap().unwrap();
    assert_eq!(all(&host).await, ["a"]);
    assert!(notes.take().is_empty());
    let b = directory.found("b");
    settle().await;
    assert_eq!(notes.take(), [json!(["p", "b"])]);
    assert_eq!(all(&host).await, ["a", "b"]);
    directory.gone("a");
    settle().await;
    assert_eq!((all(&host).await, a.switch.open_links()), (vec!["b".to_owned()], 0));
    directory.gone("b");
    directory.gone("never there");
    settle().await;
    let lost = host.local.call::<String>("p", "who", ()).await.unwrap_err();
    assert!(lost.to_string().contains("its last replica is gone"), "{lost}");
    assert!(host.engine.manager().is_active("p"));
    let _c = directory.found("c");
    settle().await;
    assert_eq!((all(&host).await, b.switch.open_links()), (vec!["c".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_gone_completes_its_calls() {
    let (host, directory) = host().await;
    let (a, _b) = (directory.found("a"), directory.found("b"));
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    let calls: Vec<_> = (0..4).map(|_| host.start::<String>("p", "work", (5000,))).collect();
    settle().await;
    directory.draining("a");
    directory.gone("a");
    settle().await;
    assert_eq!((all(&host).await, a.switch.open_links()), (vec!["b".to_owned()], 1));
    // A new program of the same name, while the old one still completes its calls.
    let again = directory.found("a");
    settle().await;
    assert_eq!((all(&host).await, a.switch.open_links()), (vec!["a".to_owned()], 1));
    assert_eq!(super::shares(calls).await, [("a".to_owned(), 2), ("b".to_owned(), 2)].into());
    settle().await;
    assert_eq!((a.switch.open_links(), again.switch.open_links()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_drains_takes_no_calls() {
    let (host, directory) = host().await;
    let (a, _b) = (directory.found("a"), directory.found("b"));
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    directory.draining("a");
    settle().await;
    assert_eq!(all(&host).await, ["b"]);
    // Also over its next link.
    a.switch.cut();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((all(&host).await, a.switch.open_links()), (vec!["b".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn places_are_told_again_at_each_activation() {
    let (host, directory) = host().await;
    let a = directory.found("a");
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    host.engine.manager().deactivate("p").await.unwrap();
    assert_eq!(a.switch.open_links(), 0);
    let b = directory.found("b");
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    assert_eq!((all(&host).await, *directory.activations.lock().unwrap()), (vec!["b".to_owned()], 2));
    drop(host);
    settle().await;
    assert_eq!(b.switch.open_links(), 0);
    assert!(directory.changes.is_closed(), "its places are dropped with the engine");
}

#[tokio::test(start_paused = true)]
async fn an_activation_fails_if_nothing_is_found() {
    let (host, directory) = host().await;
    let failed = host.engine.manager().activate("p").await.unwrap_err();
    assert!(failed.to_string().contains("\"p\" at the directory: no replica has been found: "), "{failed}");
    directory.found_at("a", Place::default());
    let failed = host.engine.manager().activate("p").await.unwrap_err();
    assert!(failed.to_string().contains("nobody is there"), "{failed}");
    let state = host.engine.link_state("p").unwrap();
    assert!(matches!(*state.borrow(), LinkState::Inactive));
}

/// The directory, not the replicas.
#[tokio::test(start_paused = true)]
async fn an_activation_fails_with_what_prevents_the_search() {
    let warnings = conformance::traces(tracing::Level::WARN);
    let (host, directory) = host().await;
    let refused = || ConnectError::Refused("the directory does not know this user: add it".to_owned());
    directory.search_failed(refused());
    let failed = soon(host.engine.manager().activate("p")).await.unwrap_err().to_string();
    assert_eq!(
        failed,
        "cannot connect to plugin \"p\" at ws://directory/…: the directory does not know this user: add it"
    );
    // What may get better is waited for, and warned of once.
    for _ in 0..100 {
        directory.search_failed(ConnectError::failed("the directory is down"));
    }
    let failed = host.engine.manager().activate("p").await.unwrap_err().to_string();
    assert!(failed.ends_with("at ws://directory/…: the directory is down"), "{failed}");
    let warned = warnings.containing("replicas cannot be looked for");
    assert_eq!(warned.len(), 2, "{warned:?}");
    let activation = host.start_activation("p");
    directory.search_failed(ConnectError::failed("the directory is down"));
    settle().await;
    let _a = directory.found("a");
    soon(activation).await.unwrap().unwrap();
    // A search that fails later costs nothing.
    directory.search_failed(refused());
    settle().await;
    assert_eq!(all(&host).await, ["a"]);
}

/// Those that are gone still count while they end.
#[tokio::test(start_paused = true)]
async fn a_replica_that_is_found_when_there_are_too_many_joins_once_one_has_gone() {
    let _quiet = conformance::traces(tracing::Level::ERROR);
    let (host, directory) = host().await;
    let a = directory.found("a");
    for number in 1..1024 {
        directory.found_at(&number.to_string(), Place::default());
    }
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    let (b, c) = (directory.found("b"), directory.found("c"));
    directory.gone("c");
    settle().await;
    assert_eq!(all(&host).await, ["a"]);
    directory.gone("1");
    settle().await;
    assert_eq!(all(&host).await, ["a", "b"]);
    // A restart of the same name takes the place of the one before.
    let again = directory.found("a");
    settle().await;
    assert_eq!(all(&host).await, ["a", "b"]);
    let open = [a, b, c, again].map(|program| program.switch.open_links());
    assert_eq!(open, [0, 1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_is_announced_with_its_name() {
    let (host, directory) = host().await;
    let (_a, _b, mut c) = (directory.found("a"), directory.found("b"), directory.found("c"));
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    let notes = Notes::default();
    host.local.on("manager", "linkDown", notes.listener()).unwrap();
    host.local.on("manager", "linkUp", notes.listener()).unwrap();
    settle().await;
    notes.take();
    directory.gone("a");
    settle().await;
    assert_eq!(notes.take(), [json!(["p", "closed by this end", "a"])]);
    // One that drains ends its link itself, and is gone then.
    directory.draining("c");
    c.stop().await;
    settle().await;
    directory.gone("c");
    settle().await;
    let told = notes.take();
    assert!(told.len() == 1 && told[0][0] == "p" && told[0][2] == "c", "{told:?}");
    host.engine.manager().deactivate("p").await.unwrap();
    settle().await;
    assert!(notes.take().is_empty(), "the plugin is deactivated, which has its own event");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_replica_is_left_out() {
    let (host, (directory, told)) = (Host::new().await, Directory::new());
    let (_fixed, connector) = Program::start(|| named("fixed"));
    host.engine.register(Replicas::new("p").replica("fixed", "memory:", connector).places(told)).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    let _others = ["fixed", "", "ok"].map(|name| directory.found(name));
    directory.gone("fixed");
    settle().await;
    assert_eq!(all(&host).await, ["fixed", "ok"]);
    let bad = |replicas: Replicas| host.engine.register(replicas).unwrap_err();
    let place = || Place::default();
    let twice = bad(Replicas::new("q").replica("a", "", place()).replica("a", "", place()));
    assert!(matches!(&twice, RegisterError::BadReplica { replica, .. } if replica == "a"), "{twice}");
    assert!(matches!(bad(Replicas::new("q").replica("", "", place())), RegisterError::BadReplica { .. }));
    assert!(matches!(bad(Replicas::new("q").replica("x".repeat(1025), "", place())), RegisterError::BadReplica { .. }));
    assert!(matches!(bad(Replicas::new("q")), RegisterError::BadReplica { .. }));
    let many = (0..1025).fold(Replicas::new("q"), |replicas, number| replicas.replica(number.to_string(), "", place()));
    assert!(bad(many).to_string().contains("at most 1024"));
}

/// What is left when the places' own code panics.
#[tokio::test(start_paused = true)]
async fn places_that_panic_find_no_more() {
    struct Panics(Option<super::MemoryPlugin>);
    #[async_trait]
    impl Places for Panics {
        fn activated(&mut self) {
            panic!("at first");
        }

        async fn next(&mut self) -> Option<PlaceChange> {
            let connector = Box::new(self.0.take().expect("and then"));
            Some(PlaceChange::Found { replica: "a".to_owned(), url: "memory:".to_owned(), connector })
        }
    }
    let _quiet = conformance::traces(tracing::Level::ERROR);
    let (host, (_a, connector)) = (Host::new().await, Program::start(|| named("a")));
    host.engine.register(Replicas::new("p").places(Panics(Some(connector)))).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    assert_eq!(all(&host).await, ["a"]);
    let unknown = host.local.call::<String>("p", "nothing", ()).await.unwrap_err();
    assert!(matches!(&unknown, CallError::Refused(why) if matches!(**why, Refusal::NotExposed { .. })));
}
