//! Plugins behind a NATS server: logins, TLS, and what goes wrong.
#![cfg(feature = "nats")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use transport_nats::NatsConfig;
use transport_nats::tls::{ClientConfig, rustls};

use self::support::*;

const SECRET: &str = "hunter2";

/// A separate file for each test.
fn file(name: &str, text: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// Calls `add` of `plugin`, with the secret in the environment.
fn add(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.args(["call", "plugin", "add", "1", "2", "--timeout", "3"]).args(args);
    command.env("SECRET", SECRET).stdin(Stdio::null()).output().unwrap()
}

fn assert_adds(args: &[&str]) {
    let output = add(args);
    assert!(output.status.success() && output.stdout == b"3\n", "{args:?}: {output:?}");
}

/// Fails as a plugin that cannot be reached, and shows no secret.
fn assert_unreachable(args: &[&str], why: &str) {
    let output = add(args);
    let text = format!("{output:?}");
    assert_eq!(output.status.code(), Some(3), "{args:?}: {text}");
    assert!(text.contains(why) && !text.contains(SECRET), "{args:?}: {text}");
}

/// In front of the host.
fn with(login: &str, url: &str) -> String {
    url.replace("//", &format!("//{login}@"))
}

#[test]
#[cfg_attr(not(has_nats), ignore = "needs a NATS server")]
fn a_user_or_a_token_comes_from_the_url_an_option_or_the_host_file() {
    let login = |config: NatsConfig| config.user_and_password("host", SECRET);
    let server = format!("authorization {{ user: host, password: {SECRET} }}");
    let replicas = Replicas::start_as(&server, |url| login(NatsConfig::new(url)), &["one"]);
    let url = with(&format!("host:{SECRET}"), &replicas.url());
    assert_adds(&["--plugin", &format!("plugin={url}")]);
    // For another plugin.
    assert_adds(&["--plugin", &format!("plugin={url}"), "--token", "other"]);
    let table = "[nats]\nuser = \"host\"\npassword_env = \"SECRET\"\n";
    let host = file("user.toml", &format!("{table}[plugins.plugin]\nurl = \"{}\"\n", replicas.url()));
    assert_adds(&["--host", host.to_str().unwrap()]);

    let server = format!("authorization {{ token: {SECRET} }}");
    let replicas = Replicas::start_as(&server, |url| NatsConfig::new(url).token(SECRET), &["one"]);
    let place = format!("plugin={}", replicas.url());
    assert_adds(&["--plugin", &format!("plugin={}", with(SECRET, &replicas.url()))]);
    assert_adds(&["--plugin", &place, "--token", SECRET]);
    let host = file("token.toml", &format!("[plugins.plugin]\nurl = \"{}\"\ntoken_env = \"SECRET\"\n", replicas.url()));
    assert_adds(&["--host", host.to_str().unwrap()]);
    assert_unreachable(&["--plugin", &place, "--token", "other"], "does not accept this program's login");
}

#[test]
#[cfg_attr(not(has_nats), ignore = "needs a NATS server")]
fn keys_and_authorities_are_files_beside_the_host_file() {
    // From the documentation of NATS.
    let (seed, key) = (
        "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
    );
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = file("server.pem", &made.cert.pem());
    let private = file("server.key", &made.signing_key.serialize_pem());
    let server = format!(
        "authorization {{ users: [ {{ nkey: {key} }} ] }}\ntls {{ cert_file: {certificate:?}, key_file: {private:?} }}"
    );
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = Arc::new(tls);
    let replicas = Replicas::start_as(&server, |url| NatsConfig::new(url).nkey(seed).tls(Arc::clone(&tls)), &["one"]);
    file("user.nk", &format!("{seed}\n"));
    let url = replicas.url().replace("nats:", "tls:");
    let plugin = format!("[plugins.plugin]\nurl = \"{url}\"\n");
    let host = file("nkey.toml", &format!("[nats]\nnkey = \"user.nk\"\nca = \"server.pem\"\n{plugin}"));
    assert_adds(&["--host", host.to_str().unwrap()]);
    // A plugin's table in addition to the one for all.
    let table = "[plugins.plugin.nats]\nca = \"server.pem\"\nprobe_interval = \"1s\"\nidempotent = [\"add\"]\n";
    let host = file("nkey-each.toml", &format!("[nats]\nnkey = \"user.nk\"\n{plugin}{table}"));
    assert_adds(&["--host", host.to_str().unwrap()]);
    let host = file("untrusted.toml", &format!("[nats]\nnkey = \"user.nk\"\n{plugin}"));
    assert_unreachable(&["--host", host.to_str().unwrap()], "UnknownIssuer");
}

#[test]
#[cfg_attr(not(has_nats), ignore = "needs a NATS server")]
fn a_prefix_separates_plugins_of_the_same_name() {
    let replicas = Replicas::start_as("", |url| NatsConfig::new(url).prefix("lent.away"), &["one"]);
    let host = |prefix: &str| {
        let text = format!("[plugins.plugin]\nurl = \"{}\"\nnats = {{ prefix = \"{prefix}\" }}\n", replicas.url());
        file(&format!("prefix-{prefix}.toml"), &text)
    };
    assert_adds(&["--host", host("lent.away").to_str().unwrap()]);
    assert_unreachable(&["--host", host("plugins").to_str().unwrap()], "no replica");
}

#[test]
#[cfg_attr(not(has_nats), ignore = "needs a NATS server")]
fn a_user_without_the_permissions_is_told_the_subject() {
    let spy = r#"{ user: spy, password: hunter2, permissions: { publish: ["spy.>"], subscribe: ["spy.>"] } }"#;
    let server = format!("authorization {{ users: [ {{ user: host, password: {SECRET} }}, {spy} ] }}");
    let replicas = Replicas::start_as(&server, |url| NatsConfig::new(url).user_and_password("host", SECRET), &["one"]);
    let place = |user: &str| format!("plugin={}", with(&format!("{user}:{SECRET}"), &replicas.url()));
    assert_adds(&["--plugin", &place("host")]);
    assert_unreachable(&["--plugin", &place("spy")], "plugins.plugin.");
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let why = "no NATS server listens at nats://127.0.0.1:1: start nats-server";
    assert_unreachable(&["--plugin", &format!("plugin=nats://host:{SECRET}@127.0.0.1:1")], why);
}
