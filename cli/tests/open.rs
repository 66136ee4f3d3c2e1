//! `connector open`, without a browser.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

struct Open {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Open {
    fn start(args: &[&str]) -> Open {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
        command.args(["open", "--json"]).args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples"));
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Open { child, lines }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn interrupt(mut self) -> ExitStatus {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(url: &str, with_token: bool) -> String {
    let (host, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let target = if with_token { target } else { "" };
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn the_page_is_served_until_an_interrupt() {
    let mut open = Open::start(&["--", "python3", "python/plugin.py"]);
    let ready = open.line();
    assert_eq!((&ready["event"], &ready["plugins"]), (&json!("ready"), &json!(["plugin"])));
    let url = ready["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let page = get(url, true);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"), "{page}");
    assert!(get(url, false).starts_with("HTTP/1.1 403"));
    assert_eq!(open.interrupt().code(), Some(0));
}

#[test]
fn a_plugin_that_cannot_be_activated_does_not_end_it() {
    let mut open = Open::start(&["ws://127.0.0.1:9", "--timeout", "1", "--plugin", "bad=./no-such-program"]);
    let ready = open.line();
    assert_eq!(ready["plugins"], json!(["bad", "plugin"]));
    let mut failed = [open.line(), open.line()];
    failed.sort_by_key(|line| line["plugin"].to_string());
    assert_eq!((&failed[0]["plugin"], &failed[1]["plugin"]), (&json!("bad"), &json!("plugin")));
    assert!(failed[0]["error"].as_str().unwrap().contains("no-such-program"), "{failed:?}");
    assert!(get(ready["url"].as_str().unwrap(), true).starts_with("HTTP/1.1 200"));
    assert_eq!(open.interrupt().code(), Some(0));
}

#[test]
fn mistakes_name_their_remedy() {
    for (args, remedy) in [
        (&["python3"][..], "or -- COMMAND"),
        (&["ftp://x"], "ftp: is not supported"),
        (&["ws://127.0.0.1:9", "--redact", "password"], "as in /0/password"),
        (&[], "no plugin is given"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_connector")).arg("open").args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(remedy), "{args:?}: {text}");
    }
}
