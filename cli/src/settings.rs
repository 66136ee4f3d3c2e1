//! The settings of the library that its errors name, as a user of the command can set them.

/// What an error names, and what to read instead: an option of the command, a key of a host file, or what the command cannot set.
/// A name comes after those of which it is a part.
const SETTINGS: &[(&str, &str)] = &[
    ("PluginOptions::", ""),
    ("QueueLimits::", "queue."),
    (
        "WsConnectorConfig::token, or the token in the url,",
        "--token, `token_env` in a host file, or the token in the URL",
    ),
    ("set it with WsConnectorConfig::token", "give --token, or `token_env` in a host file"),
    ("an authority in WsConnectorConfig::tls", "an authority that browsers trust"),
    ("WsConfig::max_sent_message here and WsConfig::max_message at the other end", "the limit, in a host of your own"),
    ("and SocketIoConnectorConfig::token", "and --token, or `token_env` in a host file"),
    ("SocketIoConnectorConfig::token", "the token"),
    ("see SocketIoConnectorConfig::header", "give --token, or `token_env` in a host file"),
    ("check SocketIoConnectorConfig::path", "its server has to answer at the path /socket.io"),
    ("WsConnectorConfig::token", "the token"),
    ("NatsConfig::prefix", "`prefix`"),
    ("NatsConfig::servers is", "the URL of the server is"),
    ("NatsConfig::servers", "its URL"),
    ("NatsConfig::login", "the login"),
    ("NatsConfig::token", "the token"),
    ("NatsConfig::tls", "`ca` in a host file"),
    ("NatsConfig::require_tls and tls:// URLs", "the scheme tls:"),
    ("NatsConfig::max_message at both ends", "`max_message` in a host file, and the limit of the plugin's program"),
    ("IpcConfig::max_message at both ends", "the limit, in a host of your own"),
    ("Choice::Argument", "`argument` of `choice`"),
    (
        "use Program::inherit_env or env if it needs one",
        "if it needs one, give `inherit_env` or `env` in a host file, or -- env NAME=value COMMAND",
    ),
    ("; its last lines on standard error are in ChildEnd::stderr and in the traces", ""),
    ("Restart::Never", "`restart` is \"never\""),
    ("Restart::OnFailure", "`restart` is \"on-failure\""),
    (
        "or allow it with allow_remote in the server's configuration and set a token",
        "and put a proxy with TLS in front of it",
    ),
    (
        "the host program can allow calls with ServeOptions::allow_calls",
        "`connector open` allows calls, and so can a program of your own (ServeOptions::allow_calls)",
    ),
];

/// An error of the library in the words of the command.
pub(crate) fn in_words_of_the_command(text: &str) -> String {
    SETTINGS.iter().fold(text.to_owned(), |text, (setting, option)| text.replace(setting, option))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn sources(folder: PathBuf) -> String {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let text = |path: PathBuf| match path.is_dir() {
            true => sources(path),
            false => std::fs::read_to_string(path).unwrap_or_default(),
        };
        entries.map(text).collect()
    }

    #[test]
    fn the_library_names_every_setting() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let crates = [
            "connector-core",
            "inspect",
            "transport-ipc",
            "transport-nats",
            "transport-server",
            "transport-socketio",
            "transport-ws",
        ];
        let text: String = crates.iter().map(|name| sources(workspace.join(name).join("src"))).collect();
        // A text may continue on the next line.
        let mut parts = text.split("\\\n");
        let first = parts.next().unwrap_or_default().to_owned();
        let text = parts.fold(first, |text, part| text + part.trim_start());
        for (setting, _) in SETTINGS {
            assert!(text.contains(setting), "no text of the library has {setting:?}");
        }
    }
}
