//! Exports of a recording, opened by the readers that they are for.
#![cfg(feature = "worker")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::{Script, probe, run_script};
use connector_core::Engine;
use connector_inspect::{Capture, ExportFormat, Kind, Outcome, Record, Recorder, RecorderOptions, Recording, export};
use serde_json::Value;
use support::{js, published_packages};

/// The script of the published packages, recorded.
struct Recorded {
    folder: tempfile::TempDir,
    records: Vec<Record>,
}

impl Recorded {
    async fn new() -> Recorded {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.ndjson");
        let engine = Engine::new();
        let options = RecorderOptions::default().capture(Capture::new().values(true));
        let recorder = Recorder::start(&engine, &path, options).unwrap();
        engine.register(transport_worker::worker("probe", probe)).unwrap();
        let script = Script::parse(conformance::SCRIPT).unwrap();
        run_script(&engine, &script, |_| {}).await.unwrap();
        engine.shutdown().await;
        recorder.finish().unwrap();
        let records = Recording::open(&path).unwrap().map(|entry| entry.unwrap().1).collect();
        Recorded { folder, records }
    }

    fn export(&self, format: ExportFormat, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut recording = Recording::open(self.folder.path().join("r.ndjson")).unwrap();
        export(&mut recording, format, std::io::BufWriter::new(std::fs::File::create(&path).unwrap())).unwrap();
        path
    }

    fn count(&self, is_counted: impl Fn(&Record) -> bool) -> usize {
        let count = self.records.iter().filter(|record| is_counted(record)).count();
        assert!(count > 10, "{count}");
        count
    }

    fn messages(&self) -> usize {
        self.count(|record| record.kind == Kind::Message)
    }
}

/// What a reader prints.
fn read(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn read_with_node(script: &str, file: &Path) -> Value {
    published_packages();
    serde_json::from_str(&read(Command::new("node").arg(js().join(script)).arg(file))).unwrap()
}

#[tokio::test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn har_is_valid_and_has_each_message() {
    let recorded = Recorded::new().await;
    let found = read_with_node("read-har.js", &recorded.export(ExportFormat::Har, "r.har"));
    assert_eq!(found["sockets"], 1);
    assert_eq!(found["messages"], recorded.messages(), "{found}");
    assert_eq!(found["sent"], recorded.count(|record| format!("{:?}", record.direction) == "Some(ToPlugin)"));
}

#[tokio::test]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium and Node")]
async fn speedscope_shows_each_call() {
    let recorded = Recorded::new().await;
    let found = read_with_node("read-speedscope.js", &recorded.export(ExportFormat::Chrome, "r.json"));
    let threads = found["threads"].as_array().unwrap();
    assert!(threads.iter().any(|thread| thread.as_str().unwrap().contains("probe")), "{found}");
    assert!(threads.iter().any(|thread| thread.as_str().unwrap().contains("local")), "{found}");
}

#[tokio::test]
async fn a_trace_has_spans_for_each_call_that_do_not_overlap() {
    let recorded = Recorded::new().await;
    let text = std::fs::read_to_string(recorded.export(ExportFormat::Chrome, "r.json")).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |ph: &str, cat: &str| events.iter().filter(|event| event["ph"] == ph && event["cat"] == cat).count();
    let ended = recorded.count(|record| record.kind == Kind::CallEnded);
    assert_eq!(of("X", "call"), ended);
    assert_eq!(of("X", "method"), recorded.count(|record| record.kind == Kind::CallEnded && record.ran.is_some()));
    assert_eq!(of("s", "call"), of("f", "call"));
    assert!(recorded.records.iter().any(|record| record.outcome == Some(Outcome::Failed)));
    let mut spans: Vec<[u64; 4]> = events
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|event| ["pid", "tid", "ts", "dur"].map(|name| event[name].as_u64().unwrap()))
        .collect();
    spans.sort();
    for pair in spans.windows(2).filter(|pair| pair[0][..2] == pair[1][..2]) {
        assert!(pair[0][2] + pair[0][3] <= pair[1][2], "{pair:?}");
    }
}

#[tokio::test]
#[cfg_attr(not(has_tshark), ignore = "needs tshark")]
async fn wireshark_reads_each_message_as_json() {
    let recorded = Recorded::new().await;
    let file = recorded.export(ExportFormat::Pcapng, "r.pcapng");
    let mut tshark = Command::new("tshark");
    tshark.args(["-T", "fields", "-e", "frame.interface_name", "-e", "frame.protocols", "-e", "json.value.string"]);
    let packets = read(tshark.args(["-Y", "json"]).arg("-r").arg(file));
    let packets: Vec<&str> = packets.lines().collect();
    assert_eq!(packets.len(), recorded.messages());
    assert!(packets.iter().all(|packet| packet.starts_with("probe\t") && packet.contains("json")), "{packets:#?}");
    assert!(packets.iter().any(|packet| packet.contains("handshake")), "{packets:#?}");
}
