use std::fs;

use super::*;

const HEADER: &str =
    r#"{"format":"connector-recording","version":1,"engine":"0.1.0","began":5,"part":1,"maxData":100,"values":false}"#;

/// Reads a file with these lines. Returns the numbers of its records, its torn line, and its error.
fn read(lines: &str) -> (Vec<u64>, Option<u64>, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    fs::write(&path, lines).unwrap();
    let mut recording = match Recording::open(&path) {
        Ok(recording) => recording,
        Err(error) => return (vec![], None, Some(error.to_string())),
    };
    let (mut numbers, mut failed) = (vec![], None);
    for entry in &mut recording {
        match entry {
            Ok((_, record)) => numbers.push(record.seq),
            Err(error) => failed = Some(error.to_string()),
        }
    }
    (numbers, recording.torn().map(|line| line.number), failed)
}

fn record(seq: u64) -> String {
    format!(r#"{{"seq":{seq},"at":1,"kind":"event"}}"#)
}

#[test]
fn a_last_line_that_is_torn_is_left_out() {
    let torn = format!("{HEADER}\n{}\n{}\n{}", record(1), record(2), &record(3)[..20]);
    assert_eq!(read(&torn), (vec![1, 2], Some(4), None));
    assert_eq!(read(&format!("{HEADER}\n{}\n", record(1))), (vec![1], None, None));
    assert_eq!(read(&format!("{HEADER}\n")), (vec![], None, None));
}

#[test]
fn an_edited_file_is_an_error_with_line_and_reason() {
    let (one, two, four) = (record(1), record(2), record(4));
    for (lines, number, reason) in [
        (format!("{one}\n{{\"seq\":2,\n{two}\n"), 3, "it is not a record"),
        (format!("{one}\n{two}\n{four}\n"), 4, "it has the number 4 instead of 3: lines were removed"),
        (format!("{two}\n{one}\n"), 2, "it has the number 2 instead of 1"),
        (format!("{one}\n\n{two}\n"), 3, "it is not a record"),
        (format!("{one}\n{}\n", two.replace("event", "\u{0}")), 3, "control character"),
    ] {
        let (_, torn, error) = read(&format!("{HEADER}\n{lines}"));
        let error = error.unwrap();
        assert!(error.contains(&format!("r.ndjson, line {number}: ")) && error.contains(reason), "{error}");
        assert_eq!(torn, None, "{error}");
    }
}

#[test]
fn records_that_are_declared_missed_are_not_an_error() {
    let missed = r#"{"seq":2,"at":1,"kind":"missed","missed":3}"#;
    assert_eq!(read(&format!("{HEADER}\n{}\n{missed}\n{}\n", record(1), record(6))), (vec![1, 2, 6], None, None));
}

#[test]
fn a_kind_of_a_later_version_is_kept() {
    let later = r#"{"seq":1,"at":1,"kind":"telepathy","later":{"a":1}}"#;
    assert_eq!(read(&format!("{HEADER}\n{later}\n")), (vec![1], None, None));
}

#[test]
fn another_version_or_another_file_is_a_clear_error() {
    let later = HEADER.replace("\"version\":1", "\"version\":2").replace("0.1.0", "7.0.0");
    let (_, _, error) = read(&format!("{later}\n"));
    assert!(error.as_ref().unwrap().contains("version 2 of the format") && error.unwrap().contains("7.0.0"));
    for other in ["", "hello\n", "{\"seq\":1}\n", "\u{0}\u{1}"] {
        let (_, _, error) = read(other);
        assert!(error.as_ref().unwrap().contains("it is not a recording"), "{other:?}: {error:?}");
    }
}

#[test]
fn what_is_not_a_regular_file_is_an_error_that_says_so() {
    let error = Recording::open(std::env::temp_dir()).unwrap_err().to_string();
    assert!(error.contains("it is not a regular file"), "{error}");
}
