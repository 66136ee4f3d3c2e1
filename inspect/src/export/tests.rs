use super::*;

const MAX: u64 = u64::MAX;

fn exported(records: &[&str], format: ExportFormat) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let mut text = format!(
        r#"{{"format":"connector-recording","version":1,"engine":"0.1.0","began":{MAX},"part":{MAX},"maxData":1,"values":false}}"#
    );
    text.push('\n');
    for (index, record) in records.iter().enumerate() {
        text.push_str(&format!("{{\"seq\":{},{record}}}\n", index + 1));
    }
    std::fs::write(&path, text).unwrap();
    let mut out = Vec::new();
    export(&mut Recording::open(&path).unwrap(), format, &mut out).unwrap();
    out
}

#[test]
fn edited_numbers_do_not_panic() {
    let records = [
        format!(r#""at":{MAX},"kind":"message","plugin":"p","direction":"toPlugin","data":"{{","cut":{MAX}"#),
        format!(r#""at":{MAX},"kind":"callQueued","call":{MAX},"from":"a","to":"p","key":"m""#),
        r#""at":0,"kind":"callStarted","call":1"#.to_owned(),
        format!(r#""at":1,"kind":"callStarted","call":{MAX},"to":"p""#),
        format!(r#""at":0,"kind":"callEnded","call":{MAX},"ran":{MAX}"#),
        r#""at":0,"kind":"callEnded""#.to_owned(),
        r#""at":0,"kind":"message""#.to_owned(),
        format!(r#""at":0,"kind":"missed","missed":{MAX}"#),
    ];
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    for format in [ExportFormat::Har, ExportFormat::Chrome, ExportFormat::Pcapng] {
        assert!(!exported(&records, format).is_empty());
    }
}

#[test]
fn a_call_without_an_end_is_in_the_trace() {
    let records = [
        r#""at":1,"kind":"callQueued","call":1,"from":"a","to":"p.s","key":"m","data":[1]"#,
        r#""at":2,"kind":"callStarted","call":1,"from":"a","to":"p.s","key":"m""#,
        r#""at":9,"kind":"event","from":"p","key":"e","data":[1],"listeners":0"#,
    ];
    let trace: serde_json::Value = serde_json::from_slice(&exported(&records, ExportFormat::Chrome)).unwrap();
    let spans = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    let spans: Vec<_> =
        spans.map(|span| (span["name"].as_str().unwrap(), span["ts"].as_u64(), span["dur"].as_u64())).collect();
    assert_eq!(spans, [("p.s.m", Some(1), Some(8)), ("m", Some(2), Some(7))]);
    let names = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["name"] == "process_name");
    assert_eq!(names.map(|event| event["args"]["name"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "p"]);
}

#[test]
fn each_replica_has_a_socket_of_its_own() {
    let message = |replica: &str| {
        format!(r#""at":1,"kind":"message","plugin":"p/1","direction":"toPlugin",{replica}"data":{{}}"#)
    };
    let (one, two) = (message(r#""replica":"one","#), message(r#""replica":"two","#));
    let har = exported(&[&one, &two, &one, &message("")], ExportFormat::Har);
    let har: serde_json::Value = serde_json::from_slice(&har).unwrap();
    let sockets = har["log"]["entries"].as_array().unwrap().iter().map(|entry| {
        (entry["request"]["url"].as_str().unwrap(), entry["_webSocketMessages"].as_array().unwrap().len())
    });
    let expected = [("ws://plugins/p%2F1/one", 2), ("ws://plugins/p%2F1/two", 1), ("ws://plugins/p%2F1", 1)];
    assert_eq!(sockets.collect::<Vec<_>>(), expected);
}
