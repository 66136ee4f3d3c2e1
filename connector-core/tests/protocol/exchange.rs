//! Plays a conversation of the document with a real engine or a real plugin.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use connector_core::{
    ClientConfig, Engine, IntoArgs, Json, Link, Payload, Plugin, PluginClient, PluginOptions, Policy, Profile, Service,
    async_trait, connect,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::document::Block;
use crate::scripted_peer::{Peer, Peers, scripted_link};
use crate::support::{Host, Notes, settle, soon};

/// One conversation: the end under test and the scripted end.
struct Play {
    under_test: End,
    /// Acts in the name of `app` in the engine, or of the plugin `calculator`.
    code: PluginClient,
    peer: Option<Peer>,
    calls: VecDeque<JoinHandle<Result<Value, String>>>,
    events: Notes,
}

enum End {
    Engine(Host, Peers),
    Plugin,
}

/// # Panics
/// The conversation differs from the document.
#[allow(clippy::print_stderr, reason = "a failure shows how far it came")]
pub(crate) async fn play(block: &Block) {
    let words: Vec<&str> = block.info.split(' ').collect();
    let has = |word| words.contains(&word);
    let handshake = (has("published") || has("native")).then(|| has("native"));
    let mut play = match has("engine") {
        true => Play::engine(handshake, has("permissive")).await,
        false => Play::plugin(handshake).await,
    };
    for (line, text) in block.numbered() {
        eprintln!("docs/protocol.md, line {line}: {text}");
        let (speaker, what) = text.split_at_checked(text.find(' ').expect("a line has two parts")).unwrap();
        play.step(speaker, what.trim_start()).await;
    }
    play.finish().await;
}

impl Play {
    async fn engine(handshake: Option<bool>, permissive: bool) -> Play {
        let engine = Engine::builder().policy(Rules { permissive }).build();
        let app = engine.register(app()).unwrap();
        engine.register(Plugin::new("locked").method("peek", async || 0).can_activate(async |_, _| false)).unwrap();
        engine.manager().activate("app").await.unwrap();
        let host = Host { engine, local: app.clone() };
        let options = PluginOptions::default().queue_timeout(Duration::from_secs(5));
        let (peers, peer) = match handshake {
            None => (host.register_scripted("calculator", options), None),
            Some(native) => {
                let methods = ["add", "divide", "recall"];
                let (peer, peers) = host.add_scripted_with(options, "calculator", &methods, native).await;
                (peers, Some(peer))
            }
        };
        Play::new(End::Engine(host, peers), app, peer)
    }

    async fn plugin(handshake: Option<bool>) -> Play {
        let (mut peer, link): (Peer, Box<dyn Link>) = scripted_link();
        let (code, link) = connect(link, calculator(), ClientConfig::default());
        tokio::spawn(link);
        if let Some(native) = handshake {
            peer.perform_handshake("calculator", native).await;
        }
        Play::new(End::Plugin, code, Some(peer))
    }

    fn new(under_test: End, code: PluginClient, peer: Option<Peer>) -> Play {
        Play { under_test, code, peer, calls: VecDeque::new(), events: Notes::default() }
    }

    async fn step(&mut self, speaker: &str, what: &str) {
        let played = if let End::Engine(..) = self.under_test { "plugin>" } else { "engine>" };
        match (speaker, what) {
            ("engine>", "dials") => {
                let End::Engine(_, peers) = &mut self.under_test else { panic!("a plugin does not dial") };
                assert!(self.peer.is_none(), "the link before has not ended");
                self.peer = Some(peers.next().await);
            }
            ("time>", seconds) => {
                let seconds = seconds.strip_suffix('s').expect("seconds").parse().unwrap();
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            ("code>", command) => self.act(command).await,
            ("code=", result) => assert_eq!(self.outcome().await, Ok(value(result))),
            ("code!", error) => {
                let told = self.outcome().await.expect_err("it fails");
                assert!(is_like(&told.clone().into(), &value(error)), "{told}");
            }
            ("code:", event) => {
                settle().await;
                assert_eq!(self.events.take(), [value(event)]);
            }
            (speaker, "ends the link") if speaker == played => {
                self.peer().close();
                self.peer = None;
                settle().await;
            }
            (speaker, frame) if speaker == played => {
                self.peer().send_text(frame.to_owned());
                settle().await;
            }
            ("engine>" | "plugin>", "ends the link") => {
                assert_eq!(self.peer().next().await, None);
                self.peer = None;
            }
            ("engine>" | "plugin>", frame) => {
                let said = self.peer().recv().await;
                assert!(is_like(&said, &value(frame)), "it says {said}");
            }
            (speaker, _) => panic!("unknown participant {speaker}"),
        }
    }

    fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().expect("there is a link")
    }

    async fn act(&mut self, command: &str) {
        let code = self.code.clone();
        let parts: Vec<&str> = command.splitn(4, ' ').collect();
        match parts[..] {
            ["call", target, method, args] => {
                let (target, method, args) = (target.to_owned(), method.to_owned(), arguments(args));
                self.start(async move { code.call::<Value>(&target, &method, args).await });
            }
            ["activate", name] => {
                let End::Engine(host, _) = &self.under_test else { panic!("a plugin cannot activate others") };
                let (manager, name) = (host.engine.manager(), name.to_owned());
                self.start(async move { manager.activate(&name).await.map(|()| Value::Null) });
            }
            ["drop"] => self.calls.pop_front().expect("a call is pending").abort(),
            ["cancel", target, method] => code.cancel(target, Some(method)).await.unwrap(),
            ["finish"] => drop(tokio::spawn(async move { code.finish().await })),
            ["emit", event, args] => code.emit(event, arguments(args)).await.unwrap(),
            ["on", emitter, event] => code.on(emitter, event, self.events.listener()).unwrap(),
            ["off", emitter, event] => code.off(emitter, event).unwrap(),
            _ => panic!("code cannot {command}"),
        }
        settle().await;
    }

    fn start<E: ToString>(&mut self, work: impl Future<Output = Result<Value, E>> + Send + 'static) {
        self.calls.push_back(tokio::spawn(async move { work.await.map_err(|error| error.to_string()) }));
    }

    /// The outcome of the earliest call, within any limit of the crate.
    async fn outcome(&mut self) -> Result<Value, String> {
        let call = pin!(self.calls.pop_front().expect("a call is pending"));
        tokio::time::timeout(Duration::from_secs(60), call).await.expect("it ends").unwrap()
    }

    /// Checks that no further message or event has arrived and no call has ended unnoticed.
    async fn finish(mut self) {
        settle().await;
        if let Some(peer) = &mut self.peer {
            assert_eq!(peer.all().await, Vec::<Value>::new(), "it says more");
        }
        assert_eq!(self.events.take(), Vec::<Value>::new(), "more events arrived");
        assert!(self.calls.is_empty(), "the outcome of a call is missing");
        if let End::Engine(host, _) = self.under_test {
            drop(self.peer);
            soon(host.engine.shutdown()).await;
        }
    }
}

fn app() -> Plugin {
    Plugin::new("app")
        .method("greet", async |name: String| format!("hello {name}"))
        .method("open", async |_path: String| Err::<(), _>("no such file"))
        .method("wait", std::future::pending::<()>)
        .service("notes", Service::new().method("count", async || 2))
}

fn calculator() -> Plugin {
    Plugin::new("calculator")
        .method("add", async |a: i64, b: i64| a + b)
        .method("divide", async |a: f64, b: f64| if b == 0.0 { Err("cannot divide by zero") } else { Ok(a / b) })
        .method("whoami", async |ctx: connector_core::Context| ctx.from().to_owned())
        .method("forever", std::future::pending::<()>)
        .method("overdraw", async || Err::<(), _>(Json(json!({"balance": 100, "message": "overdrawn"}))))
        .service("memory", Service::new().method("recall", async || 42))
}

/// The published rules, or a policy where any plugin may deactivate any other.
struct Rules {
    permissive: bool,
}

#[async_trait]
impl Policy for Rules {
    async fn can_deactivate(&self, from: &Profile, to: &Profile) -> bool {
        self.permissive || from.name == to.name
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn arguments(text: &str) -> impl IntoArgs + use<> {
    Payload::from_json(text.to_owned()).unwrap()
}

/// Whether it matches the document, where a string ending in `…` matches any string with that prefix.
fn is_like(told: &Value, page: &Value) -> bool {
    match (told, page) {
        (Value::String(told), Value::String(page)) => match page.strip_suffix('…') {
            Some(beginning) => told.starts_with(beginning),
            None => told == page,
        },
        (Value::Object(told), Value::Object(page)) => {
            told.len() == page.len()
                && page.iter().all(|(name, page)| told.get(name).is_some_and(|told| is_like(told, page)))
        }
        (told, page) => told == page,
    }
}
