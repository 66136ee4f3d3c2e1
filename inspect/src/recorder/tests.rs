use std::fs;
use std::path::Path;

use conformance::{engine_with, local};
use connector_core::PluginClient;
use serde_json::Value;

use super::*;
use crate::record::{Kind, Record};
use crate::recording::Recording;

fn records(path: &Path) -> Vec<Record> {
    Recording::open(path).unwrap().map(|entry| entry.unwrap().1).collect()
}

async fn echo(local: &PluginClient, text: &str) {
    local.call::<Value>("local", "echo", (text.to_owned(),)).await.unwrap();
}

#[tokio::test]
async fn what_happens_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let (engine, local) = engine_with(local()).await;
    let options = RecorderOptions::default().capture(Capture::new().values(true));
    let recorder = Recorder::start(&engine, &path, options).unwrap();
    echo(&local, "hello").await;
    let recorded = recorder.finish().unwrap();
    echo(&local, "later").await;
    let records = records(&path);
    let kinds: Vec<Kind> = records.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [Kind::CallQueued, Kind::CallStarted, Kind::CallEnded]);
    assert_eq!(records[0].data.as_ref().unwrap().get(), r#"["hello"]"#);
    assert_eq!(recorded, Recorded { records: 3, missed: 0 });
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn files_are_bounded_and_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let (engine, local) = engine_with(local()).await;
    let options = RecorderOptions::default().max_file(4096).files(3);
    let recorder = Recorder::start(&engine, &path, options).unwrap();
    for _ in 0..200 {
        echo(&local, "x").await;
    }
    recorder.finish().unwrap();
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
    files.sort_by_key(|file| file.file_name());
    assert_eq!(files.iter().map(|file| file.file_name()).collect::<Vec<_>>(), ["r.ndjson", "r.ndjson.1", "r.ndjson.2"]);
    assert!(files.iter().all(|file| file.metadata().unwrap().len() <= 4096));
    let numbers: Vec<u64> = records(&path).iter().map(|record| record.seq).collect();
    assert!(numbers.len() > 30 && numbers.last() == Some(&600), "{numbers:?}");
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
}

#[tokio::test]
async fn an_earlier_recording_is_kept_and_another_file_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let (engine, local) = engine_with(local()).await;
    for _ in 0..2 {
        let recorder = Recorder::start(&engine, &path, RecorderOptions::default()).unwrap();
        echo(&local, "x").await;
        recorder.finish().unwrap();
    }
    assert_eq!(records(&path).len(), 3, "without those of the earlier one");
    assert_eq!(records(&folder.path().join("r.ndjson.1")).len(), 3);
    let other = folder.path().join("notes.txt");
    fs::write(&other, "mine").unwrap();
    let error = Recorder::start(&engine, &other, RecorderOptions::default()).unwrap_err();
    assert!(error.to_string().contains("choose another name"), "{error}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
}

#[tokio::test]
async fn nothing_but_a_recording_is_renamed_or_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let (engine, _local) = engine_with(local()).await;
    let refused = |why: &str| {
        let error = Recorder::start(&engine, &path, RecorderOptions::default()).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("choose another name"), "{error}");
    };
    let older = folder.path().join("r.ndjson.3");
    fs::write(&older, "mine").unwrap();
    refused("it is not a recording");
    assert_eq!(fs::read_to_string(&older).unwrap(), "mine");
    fs::remove_file(&older).unwrap();
    fs::create_dir(&path).unwrap();
    refused("it is not a regular file");
    fs::remove_dir(&path).unwrap();
    let _recorder = Recorder::start(&engine, &path, RecorderOptions::default()).unwrap();
    refused("another recorder is writing it");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_ends_the_recording_and_not_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let (engine, local) = engine_with(local()).await;
    let recorder = Recorder::start(&engine, &path, RecorderOptions::default().max_file(4096)).unwrap();
    // The next file cannot be created.
    folder.close().unwrap();
    for _ in 0..100 {
        echo(&local, "x").await;
    }
    recorder.finish().unwrap_err();
    echo(&local, "still").await;
}

#[tokio::test]
async fn limits_with_which_nothing_works_are_errors() {
    let (engine, _local) = engine_with(local()).await;
    for options in [RecorderOptions::default().max_file(5), RecorderOptions::default().files(0)] {
        let error = Recorder::start(&engine, "never", options).unwrap_err();
        assert!(error.to_string().contains("max_file"), "{error}");
    }
}
