//! Host files.

mod support;

use std::path::{Path, PathBuf};

use self::support::*;

/// A separate host file for each test.
fn host_file(name: &str, text: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn example() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("host.toml").to_str().unwrap().to_owned()
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn other_commands_use_a_host_file_and_its_rules() {
    let file = example();
    let call = |args: &[&str]| json_of(&[&["call", "--json", "--host", &file], args].concat());
    assert_eq!(call(&["calculator", "add", "1", "2"]), (0, serde_json::json!({ "ok": 3 })));
    assert_eq!(call(&["visitor", "relay", "calculator", "add", "1", "2"]), (0, serde_json::json!({ "ok": 3 })));
    let (code, denied) = call(&["visitor", "relay", "calculator", "greet", "x"]);
    let text = denied["error"].as_str().unwrap();
    assert!(text.contains("\"visitor\" may not call \"greet\" of \"calculator\""), "{text}");
    assert!(text.contains("host.toml, [access] default = deny"), "{text}");
    assert_eq!(code, 1);
    let (code, denied) = call(&["calculator", "relay", "visitor", "add", "1", "2"]);
    assert_eq!(code, 1, "{denied}");
    let (code, listed) = json_of(&["ls", "--json", "--host", &file, "--plugin", "more=python3 python/plugin.py"]);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!((code, names), (0, vec!["calculator", "visitor", "more"]));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_rule_that_denies_is_named_and_one_that_allows_permits_a_deactivation() {
    let plugins = "[plugins.a]\ncommand = \"python3\"\nargs = [\"plugin.py\"]\n[plugins.b]\ncommand = \"python3\"\nargs = [\"plugin.py\"]\n";
    let folder = examples().join("python");
    let rules = "[[access.rules]]\nname = \"no-greetings\"\ndeny = \"call\"\nto = \"b\"\nmethods = \"gr*\"\n\
                 [[access.rules]]\nallow = \"deactivate\"\nfrom = \"a\"\n";
    let with_folder = plugins.replace("args", &format!("cwd = {:?}\nargs", folder.to_str().unwrap()));
    let file = host_file("rules.toml", &format!("{with_folder}{rules}"));
    let call = |args: &[&str]| json_of(&[&["call", "--json", "--host", file.to_str().unwrap()], args].concat());
    let (code, denied) = call(&["a", "relay", "b", "greet", "x"]);
    assert!(denied["error"].as_str().unwrap().contains("the host's rule \"no-greetings\""), "{denied}");
    assert_eq!(code, 1);
    assert_eq!(call(&["a", "relay", "b", "add", "1", "2"]).0, 0);
    assert_eq!(call(&["a", "relay", "manager", "deactivatePlugin", "b"]).0, 0);
    assert_eq!(call(&["b", "relay", "manager", "deactivatePlugin", "a"]).0, 1);
}

#[test]
fn mistakes_name_the_line_and_the_remedy() {
    let plugin = "[plugins.a]\ncommand = \"./x\"\n";
    let with = |text: &str| format!("{plugin}{text}");
    let at_nats = |text: &str| format!("[plugins.a]\nurl = \"nats://h\"\n[plugins.a.nats]\n{text}\n");
    let cases = [
        (with("comand = 1"), "3:1", "unknown key \"comand\"; did you mean \"command\"?"),
        (with("[plugins.a.options]\nqueue_timout = \"1s\""), "4:1", "did you mean \"queue_timeout\"?"),
        (with("[plugins.a.options]\nqueue_timeout = \"10\""), "4:17", "\"500ms\" or \"10s\""),
        (with("[plugins.a.options]\nqueue_timeout = 10"), "4:17", "10 has no unit: give a time such as \"10s\""),
        (with("[plugins.a.options]\nmemory_limit = \"1 X\""), "4:16", "\"64MiB\""),
        (with("[plugins.a.options]\nqueue_length = -1"), "4:16", "give a whole number, 0 or more"),
        (with("[plugins.a.options]\nqueue_length = 0"), "1:10", "\"a\": queue_length is 0"),
        (with("token = \"x\""), "3:1", "did you mean \"token_env\"?"),
        (with("token_env = \"X\""), "3:13", "a token is for a plugin with a \"url\""),
        (with("channel = \"nod\""), "3:11", "did you mean \"node\"?"),
        (with("url = \"ws://h\""), "1:10", "both \"url\" and \"command\""),
        (with("inherit_env = \"most\""), "3:15", "\"common\", \"all\", or the list"),
        (with("restart = \"x\""), "3:11", "never, on-failure, always"),
        (with("env = { A = 5 }"), "3:13", "give a string"),
        (with("[access]\ndefault = \"denied\""), "4:11", "did you mean \"deny\"?"),
        (with("[[access.rules]]\nallow = \"call\"\nto = \"b\""), "5:6", "the file has no plugin \"b\""),
        (with("[plugins.a]"), "3:", "duplicate key \"a\""),
        (with("args = []\nargs = []"), "4:1", "duplicate key \"args\""),
        (with("args = \"plugin.py\""), "3:8", "this is a string; give a list, such as [\"a\", \"b\"]"),
        (with("x = "), "3:", "string"),
        ("[plugins.a]\n".to_owned(), "1:10", "neither \"url\" nor \"command\""),
        ("[plugins.a]\nurl = \"./x\"".to_owned(), "2:7", "not a URL; for a program"),
        ("[plugins.a]\nurl = \"ftp://u:s3cret@h\"".to_owned(), "2:7", "ftp: is not supported"),
        (
            "[plugins.a]\nurl = \"ws://h\"\ntoken_env = \"NOT_SET\"".to_owned(),
            "3:13",
            "NOT_SET: environment variable not found",
        ),
        (
            "[plugins.a]\ncommand = \"./x --flag\"".to_owned(),
            "2:11",
            "pass its arguments separately, as the list \"args\"",
        ),
        ("[plugins.a]\ncommand = \" \"".to_owned(), "2:11", "the command is empty"),
        #[cfg(feature = "nats")]
        (
            "[plugins.a]\nurl = \"ws://h\"\n[plugins.a.nats]\nprefix = \"p\"".to_owned(),
            "3:1",
            "\"nats\" is for a plugin behind a NATS server",
        ),
        #[cfg(feature = "nats")]
        (with("nats = { prefix = \"p\" }"), "3:8", "give it a \"url\" such as nats://HOST:4222"),
        #[cfg(feature = "nats")]
        (at_nats("prefix = \"a b\""), "2:7", "`prefix` is \"a b\""),
        #[cfg(feature = "nats")]
        (at_nats("user = \"u\""), "4:8", "give \"password_env\""),
        #[cfg(feature = "nats")]
        (at_nats("password_env = \"NOT_SET\""), "4:16", "a password needs a \"user\""),
        #[cfg(feature = "nats")]
        (at_nats("user = \"u\"\npassword_env = \"NOT_SET\""), "5:16", "NOT_SET: environment variable not found"),
        #[cfg(feature = "nats")]
        (at_nats("user = \"u\"\nnkey = \"n\""), "5:8", "one login is enough"),
        #[cfg(feature = "nats")]
        (at_nats("credentials = \"no-such.creds\""), "4:15", "the credentials cannot be read"),
        #[cfg(feature = "nats")]
        (at_nats("ca = \"mistake-0.toml\""), "4:6", "not a file of certificates (PEM) of authorities: it has none"),
        #[cfg(feature = "nats")]
        (at_nats("user = \"\"\npassword_env = \"NOT_SET\""), "4:8", "the user has no name"),
        #[cfg(feature = "nats")]
        (at_nats("nkey = \"mistake-0.toml\""), "4:8", "which begins with SU"),
        #[cfg(feature = "nats")]
        (at_nats("credentials = \"mistake-0.toml\""), "4:15", "with a JWT and a seed"),
        #[cfg(feature = "nats")]
        (at_nats("ca = \"too-long.pem\""), "4:6", "it is longer than 1 MiB"),
        #[cfg(feature = "nats")]
        (at_nats("window = 1000"), "4:10", "window is 1000: set 16384 to 33554432"),
        #[cfg(feature = "nats")]
        (at_nats("max_message = 0"), "4:15", "max_message is 0"),
        #[cfg(feature = "nats")]
        (at_nats("connect_timeout = \"0s\""), "4:19", "connect_timeout is 0ns"),
        #[cfg(feature = "nats")]
        (at_nats("silence = \"5s\""), "4:11", "set more than probe_interval, which is 5s"),
        #[cfg(feature = "nats")]
        (at_nats("probe_interval = \"15s\""), "4:18", "silence is 15s"),
        #[cfg(feature = "nats")]
        (with("[nats]\nwindow = 1000"), "4:10", "window is 1000"),
        #[cfg(feature = "nats")]
        (
            "[plugins.a]\nurl = \"nats://h\"\ntoken_env = \"PATH\"\nnats = { user = \"u\", password_env = \"PATH\" }"
                .to_owned(),
            "3:13",
            "one login is enough",
        ),
        #[cfg(feature = "nats")]
        ("[plugins.a]\nurl = \"nats://u:s3cret@h\"\ntoken_env = \"PATH\"".to_owned(), "3:13", "one login is enough"),
        #[cfg(feature = "nats")]
        (
            "[plugins.a]\nurl = \"nats://u:s3cret@h\"\n[nats]\nuser = \"u\"\npassword_env = \"PATH\"".to_owned(),
            "2:7",
            "one login is enough",
        ),
        #[cfg(feature = "nats")]
        (at_nats("choice = \"calle\""), "4:10", "did you mean \"caller\"?"),
        #[cfg(feature = "nats")]
        (at_nats("choice = { argument = \"0\" }"), "1:10", "`argument` of `choice`"),
        #[cfg(feature = "nats")]
        ("[plugins.a]\nurl = \"nats://\"".to_owned(), "2:7", "give its host, as in nats://HOST:4222"),
        #[cfg(feature = "nats")]
        ("[plugins.a]\nurl = \"nats://u:s3cret@h/probe\"".to_owned(), "2:7", "has no path"),
        #[cfg(not(feature = "nats"))]
        (at_nats("prefix = \"p\""), "2:7", "built without its feature `nats`"),
        ("[plugins.manager]\ncommand = \"./x\"".to_owned(), "1:10", "the name manager is reserved"),
        ("[plugins.\"a.b\"]\ncommand = \"./x\"".to_owned(), "1:10", "must not be empty or contain a dot"),
        (String::new(), "1:1", "the key \"plugins\" is missing"),
    ];
    host_file("too-long.pem", &"x".repeat((1 << 20) + 1));
    for (index, (text, position, remedy)) in cases.iter().enumerate() {
        let file = host_file(&format!("mistake-{index}.toml"), text);
        for command in [&["run"][..], &["ls", "--host"]] {
            let output = connector(&[command, &[file.to_str().unwrap()]].concat());
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{text}: {error}");
            assert!(error.contains(&format!("mistake-{index}.toml:{position}")), "{text}: {error}");
            assert!(error.contains(remedy), "{text}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
            assert!(!error.contains("::"), "a name of the library: {error}");
        }
    }
    let output = connector(&["run", "no-such.toml"]);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("the host file no-such.toml cannot be read"),
        "{output:?}"
    );
}

/// The keys of a table, from the error about an unknown one.
fn keys_of(table: &str) -> Vec<String> {
    let file = host_file("keys.toml", &format!("{table}\n\"#\" = 1"));
    let output = connector(&["run", file.to_str().unwrap()]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, keys) = error.split_once("known here: ").unwrap_or_else(|| panic!("{error}"));
    keys.trim().split(", ").map(str::to_owned).collect()
}

#[test]
fn the_document_has_every_key() {
    let document = std::fs::read_to_string(examples().join("../docs/host-file.md")).unwrap();
    for table in [
        "",
        "[plugins.a]",
        "[options]",
        "[options.queue]",
        #[cfg(feature = "nats")]
        "[nats]",
        "[engine]",
        "[access]",
        "[[access.rules]]",
        "[[lend]]",
    ] {
        for key in keys_of(table) {
            let is_found = [
                format!("`{key}`"),
                format!("[{key}]"),
                format!("`queue.{key}`"),
                format!("`{key}."),
                format!("[{key}.NAME"),
                format!(".{key}]"),
                format!("{key} = "),
            ];
            assert!(is_found.iter().any(|text| document.contains(text)), "{key} of {table}");
        }
    }
}

#[cfg(unix)]
mod running {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use super::*;

    /// A plugin that writes its process id into the file `PID_FILE`, and answers handshakes. `ends` ends it.
    const PLUGIN: &str = r#"
import json, os, sys
open(os.environ["PID_FILE"], "w").write(str(os.getpid()))
for line in sys.stdin:
    request = json.loads(line)
    if request["action"] != "request": continue
    print(json.dumps({"action": "response", "name": "p", "key": request["key"], "id": request["id"], "payload": []}), flush=True)
    if len(sys.argv) > 1: sys.exit(3)
"#;

    struct Running {
        child: Child,
        lines: BufReader<std::process::ChildStdout>,
        pid_file: PathBuf,
    }

    impl Running {
        fn start(name: &str, keys: &str, args: &str) -> Running {
            Running::start_with(&[], name, keys, args)
        }

        /// With options of the command.
        fn start_with(options: &[&str], name: &str, keys: &str, args: &str) -> Running {
            let pid_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pid"));
            let script = host_file(&format!("{name}.py"), PLUGIN);
            let text = format!(
                "[plugins.p]\ncommand = \"python3\"\nargs = [{script:?}{args}]\nenv = {{ PID_FILE = {pid_file:?} }}\n{keys}"
            );
            let file = host_file(&format!("{name}.toml"), &text);
            let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
            command.arg("run").args(options).arg(file).arg("--json").stdin(Stdio::null()).stdout(Stdio::piped());
            let mut child = command.current_dir("/").spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap());
            Running { child, lines, pid_file }
        }

        fn line(&mut self) -> Value {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
        }

        fn signal(&self, signal: &str) {
            let id = self.child.id().to_string();
            assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        }

        /// Waits until it ends, and asserts that its plugin has ended too.
        fn exit_code(&mut self) -> Option<i32> {
            let began = Instant::now();
            while self.child.try_wait().unwrap().is_none() {
                assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
                std::thread::sleep(Duration::from_millis(10));
            }
            let pid = std::fs::read_to_string(&self.pid_file).unwrap();
            let is_alive = Command::new("kill").args(["-0", &pid]).stderr(Stdio::null()).status().unwrap();
            assert!(!is_alive.success(), "the plugin {pid} still runs");
            self.child.wait().unwrap().code()
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    #[cfg_attr(not(has_python), ignore = "needs Python")]
    fn a_host_runs_until_it_is_interrupted_and_its_programs_end() {
        for signal in ["-INT", "-TERM"] {
            let mut running = Running::start(&format!("interrupted{signal}"), "", "");
            assert_eq!(running.line(), json!({ "event": "ready", "plugins": ["p"] }));
            running.signal(signal);
            assert_eq!(running.exit_code(), Some(0));
        }
    }

    #[test]
    #[cfg_attr(not(has_python), ignore = "needs Python")]
    fn an_inspector_shows_a_host_and_calls_nothing() {
        let mut running = Running::start_with(&["--inspect"], "inspected", "", "");
        let served = running.line();
        let url = served["url"].as_str().unwrap();
        assert!(served["event"] == "inspector" && url.starts_with("http://127.0.0.1:"), "{served}");
        assert_eq!(running.line()["event"], "ready");
        let (code, listed) = json_of(&["ls", "--json", "--at", url]);
        // After the plugin of the command.
        assert_eq!((code, &listed[1]["name"]), (0, &json!("p")), "{listed}");
        let (code, refused) = json_of(&["call", "p", "x", "--json", "--at", url]);
        assert!(code == 4 && refused.to_string().contains("read-only"), "{refused}");
        let (code, refused) = json_of(&["ls", "--json", "--at", &format!("{url}x")]);
        assert!(code == 3 && refused.to_string().contains("refuses the connection"), "{refused}");
        running.signal("-INT");
        assert_eq!(running.exit_code(), Some(0));
    }

    #[test]
    fn a_plugin_with_the_name_of_the_inspector_is_a_mistake() {
        let file = host_file("inspector.toml", "[plugins.inspector]\ncommand = \"./x\"\n");
        let output = connector(&["run", "--inspect", file.to_str().unwrap()]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains("give yours another name"), "{error}");
    }

    #[test]
    #[cfg_attr(not(has_python), ignore = "needs Python")]
    fn a_plugin_that_stays_down_is_reported_and_the_host_runs_on() {
        let mut running = Running::start("down", "restart = \"never\"", ", \"ends\"");
        assert_eq!(running.line()["event"], "ready");
        let failed = running.line();
        assert_eq!((&failed["event"], &failed["plugin"]), (&json!("failed"), &json!("p")));
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains("the link to p is lost") && error.contains("(`restart` is \"never\")"), "{failed}");
        running.signal("-INT");
        assert_eq!(running.exit_code(), Some(0));
    }

    #[test]
    #[cfg_attr(not(has_python), ignore = "needs Python")]
    fn a_plugin_that_cannot_be_activated_ends_the_host() {
        let other = "[plugins.q]\ncommand = \"./no-such-program\"\n";
        let mut running = Running::start("unreachable", other, "");
        let failed = running.line();
        assert_eq!((&failed["event"], &failed["plugin"]), (&json!("failed"), &json!("q")));
        assert_eq!(running.exit_code(), Some(3));
    }
}
