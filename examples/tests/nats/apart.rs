//! The server, a replica and an engine on hosts of their own: network namespaces, which only cables connect.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use connector_core::{CallError, Engine, Event, Plugin as Local, PluginClient, Rest};
use serde_json::Value;
use transport_nats::NatsConfig;

use crate::broker::Broker;
use crate::programs::{until_it_answers, within};
use crate::support::{NATS_PLUGIN, Plugin};

/// Set in the process that is in its own namespace.
const INSIDE: &str = "CONNECTORS_TEST_IS_APART";

/// A network namespace, which exists as long as the value.
struct Host(Child);

impl Host {
    fn new() -> Host {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo ready; exec sleep infinity"]).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Host(holder)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// Runs a command in it.
    fn run(&self, command: &str) {
        let words = ["--target", &self.pid(), "--net"].map(str::to_owned);
        run("nsenter", words.into_iter().chain(command.split(' ').map(str::to_owned)));
    }

    /// A cable named `name` here from this process's host, or from another one.
    fn connect(&self, name: &str, from: Option<&Host>, here: &str, there: &str) {
        let pid = self.pid();
        let link = format!("link add {name}-end type veth peer name {name} netns {pid}");
        run("ip", link.split(' ').map(str::to_owned));
        self.run(&format!("ip address add {here}/24 dev {name}"));
        self.run(&format!("ip link set {name} up"));
        let address = format!("ip address add {there}/24 dev {name}-end");
        let up = format!("ip link set {name}-end up");
        match from {
            Some(from) => {
                run("ip", format!("link set {name}-end netns {}", from.pid()).split(' ').map(str::to_owned));
                from.run(&address);
                from.run(&up);
            }
            None => [address, up].iter().for_each(|command| {
                let mut words = command.split(' ').map(str::to_owned);
                run(&words.next().unwrap(), words);
            }),
        }
    }
}

fn run(program: &str, words: impl IntoIterator<Item = String>) {
    let mut command = Command::new(program);
    assert!(command.args(words).status().unwrap().success(), "{command:?}");
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this test again, in its own namespace: nothing of it remains, however it ends.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.arg("--net").arg(std::env::current_exe().unwrap()).args(["--exact", test]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    false
}

async fn engine(server: String) -> (Engine, PluginClient) {
    let engine = Engine::new();
    let local = engine.register(Local::new("local")).unwrap();
    let config = NatsConfig::new(server).probe_interval(Duration::from_millis(500)).silence(Duration::from_secs(2));
    engine.register(transport_nats::plugin("probe", config.connect_timeout(Duration::from_secs(2)))).unwrap();
    for plugin in ["local", "probe"] {
        within(engine.manager().activate(plugin)).await.unwrap();
    }
    (engine, local)
}

#[test]
fn a_cable_that_is_cut_between_hosts_is_noticed_and_the_link_heals() {
    if is_inside("apart::a_cable_that_is_cut_between_hosts_is_noticed_and_the_link_heals") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(cut_cables());
    }
}

async fn cut_cables() {
    let (hub, away) = (Host::new(), Host::new());
    hub.connect("engine", None, "10.0.1.1", "10.0.1.2");
    hub.connect("replica", Some(&away), "10.0.2.1", "10.0.2.2");
    away.run("ip route add default via 10.0.2.1");
    let broker = Broker::run_by(&["nsenter", "--target", &hub.pid(), "--net"], "10.0.1.1").unwrap();
    let mut replica = Command::new("nsenter");
    replica.args(["--target", &away.pid(), "--net", NATS_PLUGIN]);
    let _replica = Plugin::run_at(&mut replica, &broker.url(), "away");
    let (engine, local) = engine(broker.url()).await;
    let mut down = local.events::<Rest>("manager", "linkDown", 8).unwrap();
    let mut rung = local.events::<(i64,)>("probe", "rang", 8).unwrap();
    for (round, cable) in ["engine", "replica", "engine", "replica"].into_iter().enumerate() {
        let number = i64::try_from(round).unwrap();
        for n in 0..100 {
            assert_eq!(within(local.call::<i64>("probe", "add", (n, number))).await.unwrap(), n + number);
        }
        assert!(within(local.call::<bool>("probe", "fire", ("rang", number))).await.unwrap());
        assert!(matches!(within(rung.recv()).await, Some(Event::Args((rang,))) if rang == number));
        let calls = [0; 5].map(|_| {
            let local = local.clone();
            tokio::spawn(async move { local.call_within::<Value>(LONG, "probe", "slow", (600_000, "late")).await })
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        hub.run(&format!("ip link set {cable} down"));
        for call in calls {
            let lost = within(call).await.unwrap().unwrap_err();
            assert!(matches!(lost, CallError::LinkLost(_)), "{cable}: {lost:?}");
        }
        assert!(within(down.recv()).await.is_some());
        hub.run(&format!("ip link set {cable} up"));
        until_it_answers(&local).await;
    }
    within(engine.shutdown()).await;
}

const LONG: Duration = Duration::from_secs(600);
