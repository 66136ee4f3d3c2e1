//! Envelopes with unusual members: they are answered, and echoed unchanged.

mod handshakes;
mod unreadable;

use conformance::probe;
use connector_core::{CallError, ClientConfig, Context, Payload, Plugin, PluginClient};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::scripted_peer::{Peer, Peers, plugin_with_scripted_engine};
use crate::support::{Host, Notes, settle, soon};

/// Any JSON value may be an id.
const IDS: [&str; 14] = [
    "0",
    "-0",
    "7.5",
    "1e400",
    "99999999999999999999",
    r#""0""#,
    r#""2f1e7a52-6a33-4f0e-9d6e-8b7d4f8b3c11""#,
    r#""\ud83d""#,
    r#""\u0041""#,
    "null",
    "true",
    "[ 1, 2 ]",
    r#"{"a":{"b":[]}}"#,
    r#""""#,
];

/// Names that are not Unicode strings.
const NAMES: [&str; 8] = [r#""\ud83d""#, r#""\udc00x\n""#, "null", "5", "true", "[]", r#"{"a":1}"#, "7.50"];

/// Members that an envelope may contain in addition to the required ones.
const EXTRAS: [&str; 16] = [
    r#""requestInfo":5"#,
    r#""requestInfo":[]"#,
    r#""requestInfo":{}"#,
    r#""requestInfo":{"from":5,"path":null,"isFromNative":"yes"}"#,
    r#""requestInfo":{"from":"\ud83d","more":["\ud83d"]}"#,
    r#""requestInfo":{"\ud83d":1,"path":false}"#,
    r#""requestInfo":{"path":"\ud83d"}"#,
    r#""requestInfo":null"#,
    r#""errorKind":5"#,
    r#""errorKind":"\ud83d""#,
    r#""extensions":"\ud83d""#,
    r#""extensions":["\ud83d",5,{}]"#,
    r#""error":null"#,
    r#""error":0.00"#,
    r#""later":{"a":"\ud83d"}"#,
    r#""\ud83d":1"#,
];

fn text(answer: Value) -> String {
    answer.as_str().map_or_else(|| answer.to_string(), str::to_owned)
}

/// The next frame as it was written, without its error.
async fn head(peer: &mut Peer) -> String {
    let text = peer.recv_text().await;
    match text.split_once(r#","error""#) {
        Some((head, _)) => format!("{head}}}"),
        None => text,
    }
}

async fn host() -> Host {
    let host = Host::new().await;
    host.engine.register(Plugin::new("near").method("echo", |value: Payload| async move { value })).unwrap();
    host
}

/// An engine with a scripted plugin `far`, and a plugin `probe` with a scripted engine.
struct BothEnds {
    host: Host,
    far: Peer,
    _others: Peers,
    client: PluginClient,
    engine: Peer,
}

impl BothEnds {
    async fn new() -> BothEnds {
        let host = host().await;
        let (far, _others) = host.add_scripted("far", &["m"], false).await;
        let (client, engine) = plugin_with_scripted_engine(probe(), ClientConfig::default(), false).await;
        BothEnds { host, far, _others, client, engine }
    }

    /// A call from each real end, and the scripted peer that receives it.
    fn start_calls(&mut self) -> [(&mut Peer, JoinHandle<Result<i64, CallError>>); 2] {
        let client = self.client.clone();
        let at_plugin = tokio::spawn(async move { client.call("x", "y", ()).await });
        [(&mut self.far, self.host.start("far", "m", ())), (&mut self.engine, at_plugin)]
    }
}

#[tokio::test(start_paused = true)]
async fn any_id_is_echoed_unchanged() {
    let mut ends = BothEnds::new().await;
    for id in IDS {
        for (peer, target) in [(&mut ends.far, "near"), (&mut ends.engine, "probe")] {
            let envelope =
                |action, rest| format!(r#"{{"action":"{action}","id":{id},"name":"{target}","key":"echo",{rest}}}"#);
            peer.send_text(envelope("request", r#""payload":[[1]]"#));
            assert_eq!(peer.recv_text().await, envelope("response", r#""payload":[1]"#));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_ends_the_call_that_its_id_denotes_in_javascript() {
    let mut ends = BothEnds::new().await;
    let forms: [fn(i64) -> String; 7] = [
        |id| id.to_string(),
        |id| format!("{id}.0"),
        |id| format!("{id}e0"),
        |id| format!("\"{id}\""),
        |id| format!("[{id}]"),
        |id| format!("[ [\"{id}\"] ]"),
        |id| format!("{id},\"id\":\"\\u003{id}\""),
    ];
    for form in forms {
        for (peer, call) in ends.start_calls() {
            let request = peer.recv().await;
            let id = request["id"].as_i64().unwrap();
            for other in
                [format!("\" {id}\""), format!("\"{id}.0\""), format!("[{id},1]"), format!("{id}.5"), "{}".to_owned()]
            {
                peer.send_text(format!(r#"{{"action":"response","id":{other},"payload":0}}"#));
            }
            settle().await;
            assert!(!call.is_finished());
            peer.send_text(format!(r#"{{"action":"response","id":{},"payload":42}}"#, form(id)));
            assert_eq!(soon(call).await.unwrap().unwrap(), 42, "{}", form(id));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_an_invalid_name_is_refused_and_echoed_unchanged() {
    let mut ends = BothEnds::new().await;
    for odd in NAMES {
        let envelope = |action, name, key| format!(r#"{{"action":"{action}","id":"a","name":{name},"key":{key}"#);
        for (name, key) in [(odd, r#""echo""#), (r#""near""#, odd), (odd, odd)] {
            ends.far.send_text(envelope("request", name, key) + r#","payload":[1]}"#);
            // Unusual members are written first.
            let answer = ends.far.recv_text().await;
            let (answer, error) = answer.split_once(r#","error":"#).unwrap();
            let parts =
                [r#""action":"response""#, r#""id":"a""#, &format!(r#""name":{name}"#), &format!(r#""key":{key}"#)];
            assert!(parts.iter().all(|part| answer.contains(part)), "{answer}");
            let why = if name == odd { "is not registered" } else { "is not exposed" };
            assert!(error.contains(why), "{error}");
        }
        // A plugin only echoes its own name.
        ends.engine.send_text(envelope("request", odd, r#""echo""#) + r#","payload":[1]}"#);
        let answer = ends.engine.recv_text().await;
        assert!(answer.contains(&format!(r#""name":{odd}"#)) && answer.contains(r#""payload":1"#), "{answer}");
        ends.engine.send_text(envelope("request", r#""probe""#, odd) + r#","payload":[1]}"#);
        let answer = ends.engine.recv_text().await;
        assert!(answer.contains(&format!(r#""key":{odd}"#)) && answer.contains("doesn't exist"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_names_is_refused_at_once() {
    let mut ends = BothEnds::new().await;
    for rest in ["", r#","name":"near""#, r#","key":"echo""#] {
        ends.far.send_text(format!(r#"{{"action":"call","id":3{rest}}}"#));
        assert_eq!(head(&mut ends.far).await, format!(r#"{{"action":"response","id":3{rest}}}"#));
    }
    ends.engine.send_text(r#"{"action":"call","id":3,"name":"probe"}"#);
    assert_eq!(head(&mut ends.engine).await, r#"{"action":"response","id":3,"name":"probe"}"#);
}

/// The escaped form of half a surrogate pair is text that a real name may contain.
#[tokio::test(start_paused = true)]
async fn a_lone_surrogate_does_not_match_another_name() {
    let host = host().await;
    for name in ["\u{fffd}", r"\ud83d"] {
        host.engine.register(Plugin::new(name).method("m", async || 1)).unwrap();
    }
    let method = |name| (name, async || 1);
    let plugin = [method("\u{fffd}"), method(r"\ud83d")]
        .into_iter()
        .fold(Plugin::new("taken"), |plugin, (name, run)| plugin.method(name, run));
    host.engine.register(plugin.clone()).unwrap();
    let (mut far, _peers) = host.add_scripted("far", &["m"], false).await;
    let (client, mut engine) = plugin_with_scripted_engine(plugin, ClientConfig::default(), false).await;
    let notes = Notes::default();
    for name in ["\u{fffd}", r"\ud83d"] {
        host.local.on("far", name, notes.listener()).unwrap();
        client.on("far", name, notes.listener()).unwrap();
        client.on(name, "e", notes.listener()).unwrap();
        engine.recv().await;
        engine.recv().await;
    }
    for (name, key) in [(r#""\ud83d""#, r#""m""#), (r#""taken""#, r#""\ud83d""#)] {
        far.send_text(format!(r#"{{"action":"request","id":1,"name":{name},"key":{key},"payload":[]}}"#));
        assert!(far.recv_text().await.contains(r#""error""#));
    }
    engine.send_text(r#"{"action":"request","id":1,"name":"taken","key":"\ud83d","payload":[]}"#);
    assert!(engine.recv_text().await.contains(r#""error""#));
    for path in [r#""taken.\ud83d""#, r#""taken.tools.\ud83d""#, "5", "{}"] {
        engine.send_text(format!(
            r#"{{"action":"request","id":1,"name":"taken","key":"\ufffd","payload":[],"requestInfo":{{"path":{path}}}}}"#
        ));
        assert!(engine.recv_text().await.contains("doesn't exist"), "{path}");
    }
    far.send_text(r#"{"action":"emit","key":"\ud83d","payload":[1]}"#);
    engine.send_text(r#"{"action":"notification","name":"far","key":"\ud83d","payload":[1]}"#);
    engine.send_text(r#"{"action":"notification","name":"\ud83d","key":"e","payload":[1]}"#);
    settle().await;
    assert_eq!(notes.take(), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_never_confused_with_another_plugin() {
    let plugin = Plugin::new("p").method("who", |ctx: Context| async move { ctx.from().to_owned() });
    let (_client, mut engine) = plugin_with_scripted_engine(plugin, ClientConfig::default(), false).await;
    for (from, shown) in
        [(r#""admin""#, "admin"), (r#""\ud83d""#, r"\ud83d"), (r#"["admin"]"#, ""), ("5", ""), ("null", "")]
    {
        engine.send_text(format!(
            r#"{{"action":"request","id":1,"name":"p","key":"who","payload":[],"requestInfo":{{"from":{from},"path":"p"}}}}"#
        ));
        assert_eq!(engine.recv().await["payload"], shown);
    }
}

#[tokio::test(start_paused = true)]
async fn unexpected_members_do_not_invalidate_an_envelope() {
    let mut ends = BothEnds::new().await;
    for extra in EXTRAS {
        for (peer, target) in [(&mut ends.far, "near"), (&mut ends.engine, "probe")] {
            peer.send_text(format!(
                r#"{{{extra},"action":"request","id":1,"name":"{target}","key":"echo","payload":[1],{extra}}}"#
            ));
            assert_eq!(peer.recv().await["payload"], 1, "{extra}");
        }
        for (peer, call) in ends.start_calls() {
            let id = peer.recv().await["id"].take();
            peer.send_text(format!(r#"{{"action":"response","id":{id},"payload":1,{extra}}}"#));
            assert_eq!(soon(call).await.unwrap().unwrap(), 1, "{extra}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_of_duplicate_members_counts() {
    let host = host().await;
    let (mut far, _peers) = host.add_scripted("far", &["m"], false).await;
    far.send_text(
        r#"{"action":"dance","id":"a","name":5,"key":"\ud83d","payload":0,"action":"request","id":2,"name":"near","key":"echo","payload":[1]}"#,
    );
    assert_eq!(far.recv().await, json!({"action": "response", "id": 2, "name": "near", "key": "echo", "payload": 1}));
    far.send_text(
        r#"{"action":"request","id":2,"name":"near","id":"a","name":null,"action":5,"action":"call","key":"echo"}"#,
    );
    assert_eq!(head(&mut far).await, r#"{"action":"response","id":"a","name":null,"key":"echo"}"#);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_arguments_is_dropped() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (peer, _peers) = host.add_scripted("far", &[], false).await;
    host.local.on("far", "e", notes.listener()).unwrap();
    for payload in ["5", "{}", r#""ab""#, "true", "null", "[1]"] {
        peer.send_text(format!(r#"{{"action":"emit","key":"e","payload":{payload}}}"#));
    }
    settle().await;
    assert_eq!(notes.take(), [json!([1])]);
}

#[tokio::test(start_paused = true)]
async fn any_id_can_be_cancelled_and_an_unreadable_cancel_cancels_nothing() {
    let host = host().await;
    let notes = Notes::default();
    let noted = notes.clone();
    let hang = move || {
        let dropped = crate::support::OnDrop(noted.clone(), "dropped");
        async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        }
    };
    host.engine.register(Plugin::new("slow").method("hang", hang)).unwrap();
    let (mut far, _peers) = host.add_scripted("far", &["m"], true).await;
    let call = |id: &str| format!(r#"{{"action":"request","id":{id},"name":"slow","key":"hang","payload":[]}}"#);
    for (asked, cancelled) in [(r#""b3c1""#, r#""b3c1""#), ("7", r#""7""#), ("null", "null")] {
        far.send_text(call(asked));
        settle().await;
        for harmless in
            [r#""id":"other""#, r#""name":"slow","key":"\ud83d""#, r#""name":5"#, r#""name":"slow","key":5"#]
        {
            far.send_text(format!(r#"{{"action":"cancel",{harmless}}}"#));
        }
        settle().await;
        assert_eq!(notes.take(), Vec::<Value>::new());
        far.send_text(format!(r#"{{"action":"cancel","id":{cancelled}}}"#));
        settle().await;
        assert_eq!(notes.take(), [json!("dropped")], "{asked}");
    }
    assert!(far.all().await.is_empty());
    // A published plugin cancels by name, whatever else the message contains.
    let (mut old, _peers) = host.add_scripted("old", &["m"], false).await;
    old.send_text(call("1"));
    settle().await;
    old.send_text(r#"{"action":"cancel","id":9,"name":"slow","key":null}"#);
    assert_eq!(text(old.recv().await["error"].take()), "[CANCEL] Canceled call hang from old");
}
