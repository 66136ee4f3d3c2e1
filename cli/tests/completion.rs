//! Completion, as the shells ask for it.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use self::support::*;

/// Asks as the script does that the shell has sourced. `words` are the line, and `index` the word to complete.
fn completed(shell: &str, words: &[&str], index: usize) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.env("COMPLETE", shell).arg("--").args(words).current_dir(examples()).stdin(Stdio::null());
    if shell != "fish" {
        command.env("_CLAP_COMPLETE_INDEX", index.to_string()).env("_CLAP_IFS", "\n");
    }
    if shell == "bash" {
        command.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "false");
    }
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell} {words:?}");
    let candidates = String::from_utf8(output.stdout).unwrap();
    // Zsh and fish show a description after the value.
    let value = |line: &str| line.split(['\t']).next().unwrap_or_default().to_owned();
    let names = candidates.lines().map(value).filter(|name| !name.starts_with('-'));
    names.map(|name| name.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// Asserts what is completed, at the latest when it is asked for the tenth time: on a busy machine a plugin may start too slowly.
fn completes(shell: &str, words: &[&str], index: usize, expected: &[&str]) {
    let mut found = Vec::new();
    for _ in 0..10 {
        found = completed(shell, words, index);
        if found == expected {
            return;
        }
    }
    assert_eq!(found, expected, "{shell} {words:?}");
}

/// The words of a line as each shell passes them: whole, or broken at `=`.
fn in_each_shell(words: &[&str], index: usize, expected: &[&str]) {
    let quoted = |word: &&str| match word.split_once('=') {
        Some((name, value)) if value.contains(' ') => format!("{name}='{value}'"),
        _ => (*word).to_owned(),
    };
    let for_zsh: Vec<String> = words.iter().map(quoted).collect();
    let mut index_in_bash = index;
    let mut for_bash = Vec::new();
    for (position, word) in for_zsh.iter().enumerate() {
        let mut rest = word.as_str();
        while let Some(at) = rest.find(['=', ':']) {
            let (part, after) = rest.split_at(at);
            for_bash.extend([part.to_owned(), after[..1].to_owned()].into_iter().filter(|part| !part.is_empty()));
            rest = &after[1..];
        }
        for_bash.push(rest.to_owned());
        if position == index {
            index_in_bash = for_bash.len() - 1;
        }
    }
    let as_str = |words: &[String]| words.iter().map(String::as_str).collect::<Vec<_>>().join("\u{1}");
    for (shell, words, index) in [("zsh", as_str(&for_zsh), index), ("bash", as_str(&for_bash), index_in_bash)] {
        let words: Vec<_> = words.split('\u{1}').collect();
        completes(shell, &words, index, expected);
    }
    // Fish passes the words before the cursor.
    let for_fish = &words[..=index];
    if for_fish.iter().any(|word| word.contains('=')) || expected.is_empty() {
        completes("fish", for_fish, index, expected);
    }
}

const METHODS: [&str; 12] =
    ["echo", "add", "fail", "slow", "whoami", "fire", "relay", "watch", "watchOnce", "unwatch", "watched", "ping"];

#[test]
fn subcommands_and_values_of_options_are_completed() {
    for shell in ["bash", "zsh", "fish"] {
        completes(shell, &["connector", "li"], 1, &["listen"]);
        completes(shell, &["connector", "ls", "--channel", "n"], 3, &["node"]);
    }
    completes("bash", &["connector", "ls", "--channel", "=", "n"], 4, &["node"]);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn plugins_and_their_methods_in_python_are_completed() {
    let plugin = "py=python3 python/plugin.py";
    in_each_shell(&["connector", "call", "--plugin", plugin, "p"], 4, &["py"]);
    in_each_shell(&["connector", "call", "--plugin", plugin, "py", ""], 5, &["add", "greet", "relay"]);
    in_each_shell(&["connector", "call", "py", "g", "--plugin", plugin], 3, &["greet"]);
    in_each_shell(&["connector", "call", "py", "g", &format!("--plugin={plugin}")], 3, &["greet"]);
    let command = ["connector", "call", "plugin", "", "--", "python3", "python/plugin.py"];
    completes("bash", &command, 3, &["add", "greet", "relay"]);
    completes("zsh", &command, 3, &["add", "greet", "relay"]);
    let file = "../cli/host.toml";
    for shell in ["bash", "zsh", "fish"] {
        completes(shell, &["connector", "info", "--host", file, ""], 4, &["calculator", "visitor"]);
        completes(shell, &["connector", "call", "--host", file, "visitor", "a"], 5, &["add"]);
    }
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn methods_of_the_published_plugin_are_completed() {
    let served = Served::start("ws-plugin.js");
    in_each_shell(&["connector", "call", "--plugin", &format!("p={}", served.url), "p", ""], 5, &METHODS);
    let command = ["connector", "call", "--channel", "node", "plugin", "watch", "--", "node", "js/fork-plugin.js"];
    for shell in ["bash", "zsh"] {
        completes(shell, &command, 5, &["watch", "watchOnce", "watched"]);
    }
}

#[test]
fn nothing_is_printed_and_nothing_hangs_if_a_plugin_does_not_start() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("p=ws://{}", silent.local_addr().unwrap());
    let broken = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken.toml");
    std::fs::write(&broken, "[plugins.p]\nurl = 1").unwrap();
    let broken = broken.to_str().unwrap();
    let began = Instant::now();
    for words in [
        &["connector", "call", "--plugin", "p=./no-such-program", "p", ""][..],
        &["connector", "call", "--plugin", &silent, "p", ""],
        &["connector", "call", "--plugin", "p=sleep 60", "p", ""],
        &["connector", "call", "--plugin", "p=ftp://x", "p", ""],
        &["connector", "call", "--plugin", "p=./x", "q", ""],
        &["connector", "call", "--host", broken, "p", ""],
        &["connector", "call", "--host", "no-such.toml", "", ""],
    ] {
        for shell in ["bash", "zsh", "fish"] {
            assert_eq!(completed(shell, words, 5), [""; 0], "{shell} {words:?}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(120), "it hangs");
}

/// What the shell itself offers, with the script that it sources.
#[test]
#[cfg(unix)]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn bash_completes_methods() {
    let script = r#"
source <(COMPLETE=bash "$CONNECTOR")
COMP_WORDS=("$CONNECTOR" call --plugin py = "'python3 python/plugin.py'" py r)
COMP_CWORD=7 COMP_TYPE=9
_clap_complete_connector "$CONNECTOR" r py
echo "${COMPREPLY[@]}"
"#;
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("CONNECTOR", env!("CARGO_BIN_EXE_connector")).current_dir(examples());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "relay\n", "{output:?}");
}
