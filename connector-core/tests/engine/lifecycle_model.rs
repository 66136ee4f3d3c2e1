//! Random interleavings of all operations that change a plugin's state, compared with a simple model.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{Switch, memory};
use connector_core::{
    ActivateError, ClientConfig, Engine, ExternalProfile, Plugin, PluginClient, PluginOptions, Registration, serve,
};
use proptest::prelude::*;
use tokio::time::{sleep, timeout};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Activate,
    Deactivate,
    /// Immediately registered again under the same name.
    Remove,
    Shutdown,
    /// A call, which activates on demand.
    Call,
    /// Through another plugin.
    DeactivateFromAfar,
    Cut,
    Off(bool),
}

#[derive(Debug, Clone)]
struct Step {
    wait: u64,
    plugin: usize,
    op: Op,
    /// The future is dropped after this many milliseconds.
    dropped_after: Option<u64>,
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![
        8 => Just(Op::Activate),
        6 => Just(Op::Deactivate),
        2 => Just(Op::Remove),
        1 => Just(Op::Shutdown),
        3 => Just(Op::Call),
        2 => Just(Op::DeactivateFromAfar),
        2 => Just(Op::Cut),
        1 => any::<bool>().prop_map(Op::Off),
    ];
    (prop_oneof![3 => Just(0), 2 => 0..40u64], 0..PLUGINS.len(), op, prop::option::of(0..30u64))
        .prop_map(|(wait, plugin, op, dropped_after)| Step { wait, plugin, op, dropped_after })
}

/// Duration of each hook in ms, whether every second hook fails, and whether the plugin is behind a link.
const PLUGINS: [(&str, u64, bool, bool); 5] = [
    ("quick", 0, false, false),
    ("slow", 20, false, false),
    ("flaky", 5, true, false),
    ("far", 0, false, true),
    ("late", 15, false, true),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Hook {
    On,
    Activated,
    Off,
}

/// The hooks of one plugin in order of execution; a new list for each registration.
type Hooks = Arc<Mutex<Vec<Hook>>>;

fn plugin(name: &'static str, takes: u64, flaky: bool, hooks: &Hooks) -> Plugin {
    let (on, off) = (hooks.clone(), hooks.clone());
    Plugin::new(name)
        .method("ping", || async { 1 })
        .on_activation(move |_| {
            let hooks = on.clone();
            async move {
                hooks.lock().unwrap().push(Hook::On);
                sleep(Duration::from_millis(takes)).await;
                let ran = hooks.lock().unwrap().iter().filter(|hook| **hook == Hook::On).count();
                // `resume_unwind` does not call the panic hook, which would print.
                if flaky && ran % 2 == 0 {
                    std::panic::resume_unwind(Box::new("flaky"));
                }
                hooks.lock().unwrap().push(Hook::Activated);
            }
        })
        .on_deactivation(move |_| {
            let hooks = off.clone();
            async move {
                sleep(Duration::from_millis(takes)).await;
                hooks.lock().unwrap().push(Hook::Off);
            }
        })
}

struct World {
    engine: Engine,
    local: PluginClient,
    hooks: Vec<Hooks>,
    switches: Vec<Option<Switch>>,
}

impl World {
    fn register(&mut self, at: usize) {
        let (name, takes, flaky, linked) = PLUGINS[at];
        let hooks = Hooks::default();
        match linked {
            true => {
                let (connector, accepts, switch) = memory();
                let kept = hooks.clone();
                tokio::spawn(serve(accepts, move || plugin(name, takes, flaky, &kept), ClientConfig::default()));
                let options = PluginOptions::default().activation_timeout(Duration::from_millis(300));
                let profile = ExternalProfile::new(name, "memory://");
                self.engine.register(Registration::behind(profile, connector).options(options)).unwrap();
                self.switches[at] = Some(switch);
            }
            false => drop(self.engine.register(plugin(name, takes, flaky, &hooks)).unwrap()),
        }
        self.hooks[at] = hooks;
    }
}

/// The required state of a plugin once nothing is in progress.
#[derive(Clone)]
enum Expected {
    Inactive,
    /// As the outcome says; either state if nothing awaited it.
    As(Arc<Mutex<Option<Result<(), String>>>>),
    Either,
}

impl World {
    /// One request, which ends exactly once.
    fn request(&self, name: &'static str, op: Op) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let (engine, manager, local) = (self.engine.clone(), self.engine.manager(), self.local.clone());
        async move {
            let words = |error: ActivateError| {
                let never =
                    matches!(error, ActivateError::EngineGone | ActivateError::NoRuntime | ActivateError::Circular(_));
                assert!(!never, "{error:?}");
                error.to_string()
            };
            match op {
                Op::Activate => manager.activate(name).await.map_err(words),
                Op::Deactivate => manager.deactivate(name).await.map_err(words),
                Op::Remove => {
                    engine.remove(name).await;
                    Ok(())
                }
                Op::Shutdown => {
                    engine.shutdown().await;
                    Ok(())
                }
                Op::Call => local.call::<i64>(name, "ping", ()).await.map(drop).map_err(|error| error.to_string()),
                Op::DeactivateFromAfar => {
                    let outcome = local.call::<()>("manager", "deactivatePlugin", (name,)).await;
                    outcome.map_err(|error| error.to_string())
                }
                Op::Cut | Op::Off(_) => Ok(()),
            }
        }
    }
}

/// For hooks in this process: one deactivation for each completed activation, without overlap.
fn assert_paired(hooks: &[Hook]) {
    let mut state = Hook::Off;
    for hook in hooks {
        let fits = matches!(
            (state, hook),
            (Hook::Off | Hook::On, Hook::On) | (Hook::On, Hook::Activated) | (Hook::Activated, Hook::Off)
        );
        assert!(fits, "{hooks:?}");
        state = *hook;
    }
    assert_ne!(state, Hook::Activated, "{hooks:?}");
}

async fn scenario(steps: &[Step]) {
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    engine.manager().activate("local").await.unwrap();
    let hooks = vec![Hooks::default(); PLUGINS.len()];
    let mut world = World { engine, local, hooks, switches: PLUGINS.map(|_| None).into() };
    let (mut all_hooks, mut requests) = (Vec::new(), Vec::new());
    let mut expected = vec![Expected::Inactive; PLUGINS.len()];
    for at in 0..PLUGINS.len() {
        world.register(at);
        all_hooks.push((at, world.hooks[at].clone()));
    }
    for &Step { wait, plugin, op, dropped_after } in steps {
        sleep(Duration::from_millis(wait)).await;
        match (op, &world.switches[plugin]) {
            (Op::Cut, Some(switch)) => switch.cut(),
            (Op::Off(off), Some(switch)) => switch.refuse_connections(off),
            _ => {}
        }
        // Polled once here, so that requests are made in the order of the steps.
        let mut request = Box::pin(world.request(PLUGINS[plugin].0, op));
        let done = futures_util::future::poll_immediate(&mut request).await;
        let outcome = Arc::new(Mutex::new(done.clone()));
        let tell = outcome.clone();
        requests.push(tokio::spawn(async move {
            match (done, dropped_after) {
                (Some(_), _) => {}
                (None, Some(limit)) => drop(timeout(Duration::from_millis(limit), request).await),
                (None, None) => {
                    let ended = timeout(Duration::from_secs(60), request).await.expect("a request hangs");
                    *tell.lock().unwrap() = Some(ended);
                }
            }
        }));
        match op {
            Op::Activate => expected[plugin] = Expected::As(outcome),
            Op::Deactivate => expected[plugin] = Expected::Inactive,
            Op::Call => expected[plugin] = Expected::Either,
            Op::Remove => {
                expected[plugin] = Expected::Inactive;
                world.register(plugin);
                all_hooks.push((plugin, world.hooks[plugin].clone()));
            }
            Op::Shutdown => {
                expected.fill(Expected::Inactive);
                let manager = world.engine.manager();
                requests.push(tokio::spawn(async move { manager.activate("local").await.unwrap() }));
            }
            _ => {}
        }
    }
    for request in requests {
        request.await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    for (expected, (name, ..)) in expected.iter().zip(PLUGINS) {
        let active = world.engine.manager().is_active(name);
        match expected {
            Expected::Inactive => assert!(!active, "{name}"),
            Expected::As(outcome) => {
                let outcome = outcome.lock().unwrap();
                assert!(
                    outcome.as_ref().is_none_or(|outcome| outcome.is_ok() == active),
                    "{name}: {outcome:?}, active: {active}"
                );
            }
            Expected::Either => {}
        }
    }
    world.engine.shutdown().await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.engine.manager().active_profiles().len(), 1, "only the manager");
    for (at, hooks) in all_hooks {
        let hooks = hooks.lock().unwrap();
        match PLUGINS[at].3 {
            false => assert_paired(&hooks),
            // Links follow each other faster than their last hooks end, and a loss may interrupt the first one.
            true => {
                let count = |which| hooks.iter().filter(|hook| **hook == which).count();
                assert_eq!(count(Hook::On), count(Hook::Off), "{hooks:?}");
            }
        }
    }
    drop(world);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "a task is left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn each_request_ends_once_and_the_last_one_determines_the_state(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(scenario(&steps));
    }
}
