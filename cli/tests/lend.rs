//! Hosts that lend plugins to each other.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use self::support::*;

fn file(name: &str, text: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// `connector run`, ended on drop.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// With the plugin in Python as `calculator`, of which `away/connector` may call `add`.
    fn start(name: &str, loan: &str) -> Running {
        let folder = examples().join("python");
        let text = format!(
            "[plugins.calculator]\ncommand = \"python3\"\nargs = [\"plugin.py\"]\ncwd = {folder:?}\n\
             [access]\ndefault = \"deny\"\nrules = [{{ allow = \"call\", from = \"away/connector\", methods = \"add\" }}]\n\
             [[lend]]\nplugin = \"calculator\"\nto = \"away\"\n{loan}\n"
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
        command.arg("run").arg(file(name, &text)).arg("--json").env("SECRET", "sesame");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    /// Where it lends the plugin.
    fn url(&mut self) -> String {
        let lent = self.line();
        assert_eq!(
            (&lent["event"], &lent["plugin"], &lent["to"]),
            (&json!("lent"), &json!("calculator"), &json!("away"))
        );
        assert_eq!(self.line(), json!({ "event": "ready", "plugins": ["calculator"] }));
        lent["url"].as_str().unwrap().to_owned()
    }

    fn stop(&mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls the plugin of another host. Returns the exit code and what it prints.
fn call(name: &str, place: &str, engine: &str, call: &[&str]) -> (Option<i32>, String) {
    let text = format!("[plugins.calculator]\n{place}\noptions = {{ engine_name = \"{engine}\" }}\n");
    let host = file(name, &text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.args(["call", "--json", "--timeout", "5", "--host"]).arg(host).arg("calculator").args(call);
    let output = command.env("SECRET", "sesame").env("OTHER", "other").stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_plugin_is_lent_at_a_websocket_with_the_rules_at_home() {
    let mut home = Running::start("home.toml", "url = \"ws://127.0.0.1:0\"\ntoken_env = \"SECRET\"");
    let url = home.url();
    let place = format!("url = \"{url}\"\ntoken_env = \"SECRET\"");
    assert_eq!(call("away.toml", &place, "away", &["add", "1", "2"]), (Some(0), "{\"ok\":3}\n".to_owned()));
    let (code, denied) = call("away.toml", &place, "away", &["greet", "Ada"]);
    assert_eq!(code, Some(4), "{denied}");
    assert!(denied.contains("away/connector") && denied.contains("default = deny"), "{denied}");
    let (code, refused) = call("away.toml", &place, "elsewhere", &["add", "1", "2"]);
    assert_eq!(code, Some(3), "{refused}");
    assert!(refused.contains("is not lent to the engine"), "{refused}");
    let (code, refused) = call("away.toml", &place.replace("SECRET", "OTHER"), "away", &["add", "1", "2"]);
    assert_eq!(code, Some(3), "{refused}");
    assert!(refused.contains("compare --token, `token_env` in a host file,"), "{refused}");
    assert_eq!(home.stop(), Some(0));
}

#[test]
#[cfg(feature = "nats")]
#[cfg_attr(not(all(has_nats, has_python)), ignore = "needs a NATS server and Python")]
fn a_plugin_is_lent_at_a_nats_server_under_a_prefix_of_the_borrower() {
    let server = Replicas::start("", &[]);
    let place = format!("url = \"{}\"", server.url());
    let mut home = Running::start("home-nats.toml", &place);
    assert_eq!(home.url(), "nats:lent.away.calculator");
    let place = format!("{place}\nnats = {{ prefix = \"lent.away\" }}");
    assert_eq!(call("away-nats.toml", &place, "away", &["add", "1", "2"]), (Some(0), "{\"ok\":3}\n".to_owned()));
    assert_eq!(home.stop(), Some(0));
}

/// The permissions for lending that the document has.
#[cfg(feature = "nats")]
fn documented_permissions() -> String {
    let document = std::fs::read_to_string(examples().join("../docs/beyond-one-machine.md")).unwrap();
    let (_, text) = document.split_once("**For lending**").unwrap();
    let (_, text) = text.split_once("```text").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    text.replace('…', "sesame")
}

#[test]
#[cfg(feature = "nats")]
#[cfg_attr(not(all(has_nats, has_python)), ignore = "needs a NATS server and Python")]
fn the_documented_permissions_suffice_for_a_loan_and_for_nothing_else() {
    let server = Replicas::start(&documented_permissions(), &[]);
    let nats = |user: &str, prefix: &str| {
        let login = format!("user = \"{user}\", password_env = \"SECRET\"");
        format!("url = \"{}\"\nnats = {{ {login}, prefix = \"{prefix}\" }}", server.url())
    };
    let mut home = Running::start("home-permitted.toml", &nats("home", "lent.away"));
    assert_eq!(home.url(), "nats:lent.away.calculator");
    let three = (Some(0), "{\"ok\":3}\n".to_owned());
    assert_eq!(call("away-permitted.toml", &nats("away", "lent.away"), "away", &["add", "1", "2"]), three);
    for prefix in ["plugins", "lent.other"] {
        let (code, refused) = call("away-forbidden.toml", &nats("away", prefix), "away", &["add", "1", "2"]);
        assert_eq!(code, Some(3), "{refused}");
        assert!(refused.contains(&format!("{prefix}.calculator.")), "{refused}");
    }
    assert_eq!(home.stop(), Some(0));
}

#[test]
fn mistakes_name_the_line_and_the_remedy() {
    let loan = |text: &str| format!("[plugins.a]\ncommand = \"./x\"\n[[lend]]\n{text}\n");
    let cases = [
        ("plugin = \"b\"\nto = \"away\"\nurl = \"ws://127.0.0.1:1\"", "4:10", "the file has no plugin \"b\""),
        (
            "plugin = \"a\"\nto = \"a/b\"\nurl = \"ws://127.0.0.1:0\"\ntoken_env = \"SECRET\"",
            "5:6",
            "to: invalid engine name",
        ),
        ("plugin = \"a\"\nto = \"away\"\nurl = \"ws://127.0.0.1:1\"", "6:7", "set \"token_env\""),
        #[cfg(feature = "nats")]
        ("plugin = \"a\"\nto = \"a b\"\nurl = \"nats://h:1\"", "5:6", "or set \"prefix\" in \"nats\""),
        #[cfg(feature = "nats")]
        (
            "plugin = \"a\"\nto = \"away\"\nurl = \"nats://h:1\"\n[nats]\nprefix = \"site\"",
            "5:6",
            "set \"prefix\" in \"nats\" of the loan, and the same at the borrower, for example \"lent.site.away\"",
        ),
        #[cfg(feature = "nats")]
        (
            "plugin = \"a\"\nto = \"away\"\nurl = \"nats://u:s3cret@h:1\"\ntoken_env = \"SECRET\"",
            "7:13",
            "one login is enough",
        ),
        ("plugin = \"a\"\nto = \"away\"\nurl = \"ws://u:s3cret@h:1\"", "6:7", "as in ws://127.0.0.1:4100"),
        ("plugin = \"a\"\nto = \"away\"\nurl = \"local:x\"", "6:7", "a plugin is lent at ws://ADDRESS:PORT"),
        (
            "plugin = \"a\"\nto = \"away\"\nurl = \"ws://h:1\"\nnats = {}",
            "7:8",
            "\"nats\" is for a plugin behind a NATS server",
        ),
        ("plugin = \"a\"\nto = \"away\"\nurl = \"nats://h:1\"\ntoken_env = \"NOT_SET\"", "7:13", "NOT_SET"),
        ("plugin = \"a\"\nto = \"away\"", "3:1", "the key \"url\" is missing"),
    ];
    for (index, (text, position, remedy)) in cases.iter().enumerate() {
        let file = file(&format!("lend-{index}.toml"), &loan(text));
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
        let output = command.arg("run").arg(file).env("SECRET", "sesame").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}: {error}");
        assert!(error.contains(&format!("lend-{index}.toml:{position}")) && error.contains(remedy), "{text}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
