use std::fmt::Write;
use std::future::poll_fn;
use std::path::PathBuf;

use conformance::memory_pair;
use connector_core::Message;
use tokio::time::Instant;

use super::*;

const HEADER: &str =
    r#"{"format":"connector-recording","version":1,"engine":"0.1.0","began":5,"part":1,"maxData":100,"values":false}"#;
const HANDSHAKE: &str = r#"{"action":"request","id":-2,"name":"p","key":"handshake","payload":["p",null]}"#;
const METHODS: &str = r#"{"action":"response","id":-2,"name":"p","key":"handshake","payload":["add"]}"#;
const REQUEST: &str = r#"{"action":"request","id":0,"name":"p","key":"add","payload":[1]}"#;
const RESPONSE: &str = r#"{"action":"response","id":0,"name":"p","key":"add","payload":1}"#;

/// A file with records: the rest of each, after its number.
fn recording(records: &[String]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let mut text = format!("{HEADER}\n");
    for (index, record) in records.iter().enumerate() {
        writeln!(text, r#"{{"seq":{},{record}}}"#, index + 1).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn message(at: u64, direction: &str, data: &str) -> String {
    format!(r#""at":{at},"kind":"message","plugin":"p","direction":"{direction}","data":{data}"#)
}

fn sent(at: u64, data: &str) -> String {
    message(at, "toPlugin", data)
}

fn received(at: u64, data: &str) -> String {
    message(at, "fromPlugin", data)
}

fn link(state: &str) -> String {
    format!(r#""at":0,"kind":"link","plugin":"p","text":"{state}""#)
}

fn session() -> Vec<String> {
    vec![sent(0, HANDSHAKE), received(10, METHODS), link("up"), sent(2_000_000, REQUEST), received(5_000_000, RESPONSE)]
}

/// A plugin that answers the handshake, and other requests if it has an answer. Returns when each request arrived.
async fn plugin(mut link: Box<dyn Link>, response: Option<&str>) -> Vec<(String, u128)> {
    let (began, mut arrived) = (Instant::now(), Vec::new());
    while let Ok(Ok(message)) = poll_fn(|cx| link.poll_message(cx)).await {
        let key = message.key.as_deref().unwrap_or_default();
        arrived.push((key.to_owned(), began.elapsed().as_millis()));
        let answer = if key == "handshake" { Some(METHODS) } else { response };
        if let Some(answer) = answer {
            poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
            link.send(Message::decode_copied(answer.as_bytes()).unwrap()).unwrap();
            poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
        }
    }
    arrived
}

async fn replayed(mut replay: Replay, response: Option<&str>) -> (Vec<(String, u128)>, Report) {
    let (engine, end) = memory_pair();
    let (arrived, ()) = tokio::join!(plugin(end, response), replay.play(engine));
    (arrived, replay.finish())
}

#[tokio::test(start_paused = true)]
async fn messages_are_sent_at_once_or_at_the_recorded_times() {
    let (_folder, path) = recording(&session());
    let replay = || Replay::engine(&path, "p").unwrap();
    for (replay, millis) in [(replay(), 0), (replay().speed(1.0), 2000), (replay().speed(4.0), 500)] {
        let (arrived, report) = replayed(replay, Some(RESPONSE)).await;
        assert_eq!(arrived[0], ("handshake".to_owned(), 0));
        let (key, at) = &arrived[1];
        assert!(key == "add" && (millis..millis + 5).contains(at), "{arrived:?}");
        assert_eq!(report.to_string(), "4 recorded messages exchanged, 0 differences");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_waited_for_longer_than_it_took() {
    let (_folder, path) = recording(&session());
    let began = Instant::now();
    let replay = Replay::engine(&path, "p").unwrap().timeout(Duration::from_secs(2));
    let (_, report) = replayed(replay, None).await;
    let text = report.to_string();
    assert!(text.contains(", which did not arrive (") && text.contains("r.ndjson, line 6)"), "{text}");
    assert_eq!(began.elapsed().as_secs(), 5, "3 s as recorded, and 2 s");
}

#[tokio::test(start_paused = true)]
async fn other_messages_do_not_prolong_the_wait() {
    let (_folder, path) = recording(&session());
    let mut replay = Replay::engine(&path, "p").unwrap().timeout(Duration::from_secs(2));
    let (engine, mut end) = memory_pair();
    let chatters = async {
        let event = br#"{"action":"emit","key":"tick","payload":[]}"#;
        loop {
            poll_fn(|cx| end.poll_ready(cx)).await.unwrap();
            end.send(Message::decode_copied(event).unwrap()).unwrap();
            poll_fn(|cx| end.poll_flush(cx)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let limit = tokio::time::sleep(Duration::from_secs(60));
    tokio::select! {
        biased;
        () = replay.play(engine) => {}
        () = chatters => {}
        () = limit => panic!("it waits without end"),
    }
    assert!(replay.finish().to_string().contains("did not arrive"));
}

#[test]
fn a_message_without_a_plugin_is_an_error() {
    let mut records = session();
    records[3] = records[3].replace(r#""plugin":"p","#, "");
    let (_folder, path) = recording(&records);
    let error = Replay::engine(&path, "p").unwrap_err().to_string();
    assert!(error.contains("r.ndjson, line 5: ") && error.contains("it names no plugin"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn each_session_has_its_own_link() {
    let mut records = session();
    records.push(link("down (lost); tries since: 0"));
    records.extend(session());
    records.extend([link("inactive"), received(8, r#"{"action":"emit","key":"last","payload":[]}"#)]);
    let (_folder, path) = recording(&records);
    let mut replay = Replay::engine(&path, "p").unwrap();
    let (mut exchanged, mut sessions) = (vec![], 0);
    while replay.sessions_left() > 0 {
        let (engine, end) = memory_pair();
        let playing = replay.play(engine);
        let plugin = plugin(end, Some(RESPONSE));
        let ended = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(plugin, playing) });
        exchanged.push(ended.await.unwrap().0.len());
        sessions += 1;
    }
    assert_eq!((sessions, exchanged), (2, vec![2, 2]));
    let report = replay.finish();
    assert_eq!(report.exchanged, 8);
    assert!(report.differences.len() == 1 && report.to_string().starts_with("event last: "), "{report}");
}

#[test]
fn a_message_between_two_links_belongs_to_the_session_that_it_is_of() {
    let subscribes = r#"{"action":"on","name":"app","key":"saved"}"#;
    let mut records = session();
    records.extend([link("down (lost); tries since: 0"), received(7, subscribes)]);
    records.extend(session());
    records.extend([link("inactive"), received(8, subscribes)]);
    let (_folder, path) = recording(&records);
    let found = sessions(&mut Recording::open(&path).unwrap(), "p", End::Engine).unwrap();
    let actions = |session: &Session| session.iter().map(|step| step.message.action.as_str()).collect::<Vec<_>>();
    assert_eq!(actions(&found.complete[0]), ["request", "response", "request", "response"]);
    assert_eq!(actions(&found.complete[1]), ["on", "request", "response", "request", "response", "on"]);
}

#[test]
fn each_replica_has_sessions_of_its_own() {
    let of = |replica: &str, records: Vec<String>| {
        records.into_iter().map(|record| format!(r#"{record},"replica":"{replica}""#)).collect::<Vec<_>>()
    };
    // One after another, with the link of the other one between them.
    let (a, mut b) = (of("a", session()), of("b", session()));
    b.extend(of("b", vec![link("down (cut); tries since: 0")]));
    b.extend(of("b", session()));
    let mut records = vec![link("connecting")];
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    while records.len() < 17 {
        records.extend([a.next(), b.next()].into_iter().flatten());
    }
    let (_folder, path) = recording(&records);
    let found = sessions(&mut Recording::open(&path).unwrap(), "p", End::Engine).unwrap();
    let actions = |session: &Session| session.iter().map(|step| step.message.action.as_str()).collect::<Vec<_>>();
    assert_eq!((found.complete.len(), found.skipped), (3, 0));
    for session in &found.complete {
        assert_eq!(actions(session), ["request", "response", "request", "response"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_beginning_is_not_recorded_is_skipped() {
    let mut records = vec![sent(0, REQUEST), received(1, RESPONSE), link("down (lost); tries since: 0")];
    records.extend(session());
    let (_folder, path) = recording(&records);
    let replay = Replay::engine(&path, "p").unwrap();
    assert_eq!((replay.sessions_left(), replay.skipped()), (1, 2));
    let (_, report) = replayed(replay, Some(RESPONSE)).await;
    assert_eq!(report.to_string(), "4 recorded messages exchanged, 0 differences");
}

#[tokio::test]
async fn a_link_that_ends_early_is_reported() {
    let (_folder, path) = recording(&session());
    let mut replay = Replay::plugin(&path, "p").unwrap();
    let (end, engine) = memory_pair();
    drop(engine);
    replay.play(end).await;
    let text = replay.finish().to_string();
    assert!(text.contains("the link ended: closed by the other end; 2 recorded messages"), "{text}");
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let cut = sent(0, "\"{\\\"action\\\"\"").replace("}", "") + r#","cut":70000"#;
    let missed = r#""at":1,"kind":"missed","missed":3"#.to_owned();
    for (records, reason) in [
        (vec![sent(0, REQUEST)], "line 2: the recording has no handshake of \"p\""),
        (vec![sent(0, HANDSHAKE), cut], "line 3: the message was not recorded whole"),
        (vec![sent(0, HANDSHAKE), missed], "line 3: 3 records are missing"),
        (vec![sent(0, r#"{"action":"dance"}"#)], "line 2: it is not a message"),
        (vec![], "no link of a plugin \"p\"; it has links of: none"),
    ] {
        let (_folder, path) = recording(&records);
        let error = Replay::engine(&path, "p").unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
