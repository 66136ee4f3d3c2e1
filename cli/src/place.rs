//! Where a plugin is: a URL to dial, or a program to start.

use std::str::FromStr;

use clap::ValueEnum;
use connector_core::Registration;
use serde::Deserialize;
use transport_ipc::{ChannelKind, Program};
use transport_ws::WsConnectorConfig;

use crate::nats::Nats;

/// A plugin as given on the command line, `NAME=URL` or `NAME=COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPlace {
    pub(crate) name: String,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Url(Url),
    /// A program and its arguments.
    Command(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Url {
    WebSocket(String),
    SocketIo(String),
    /// The server where the plugin is found by its name.
    Nats(String),
    /// The path of a local socket.
    Local(String),
}

/// The channel to a program.
#[derive(Debug, Clone, Copy, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    /// Lines of JSON on its standard input and output.
    #[default]
    Stdio,
    /// The IPC channel of Node's `fork`.
    Node,
    /// A local socket, whose path is in `PLUGIN_SOCKET`.
    Local,
}

impl FromStr for NamedPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<NamedPlace, String> {
        let hint = "give NAME=URL or NAME=COMMAND, for example editor=ws://127.0.0.1:4000 or calc='python3 plugin.py'";
        let (name, place) = text.split_once('=').ok_or_else(|| hint.to_owned())?;
        // The name may have been left out in front of a URL whose query contains `=`.
        if name.is_empty() || name.contains("://") || place.trim().is_empty() {
            return Err(hint.to_owned());
        }
        let place = place.parse().map_err(|error| format!("--plugin {name}: {error}"))?;
        Ok(NamedPlace { name: name.to_owned(), place })
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        if let Some(url) = Url::parse(text)? {
            return Ok(Place::Url(url));
        }
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Place::Command(words)),
            _ => Err("the command has an unmatched quote".to_owned()),
        }
    }
}

impl Url {
    /// `None` if the text is not a URL.
    ///
    /// # Errors
    /// No transport has the scheme.
    pub(crate) fn parse(text: &str) -> Result<Option<Url>, String> {
        let scheme_and_rest = text.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme_and_rest.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
            Some(("ws" | "wss", rest)) if rest.starts_with("//") => Ok(Some(Url::WebSocket(text.to_owned()))),
            Some(("http" | "https", rest)) if rest.starts_with("//") => Ok(Some(Url::SocketIo(text.to_owned()))),
            Some(("nats" | "tls", rest)) if rest.starts_with("//") => Ok(Some(Url::Nats(text.to_owned()))),
            Some(("local", path)) => Ok(Some(Url::Local(path.to_owned()))),
            Some((scheme, rest)) if rest.starts_with("//") && !scheme.contains(char::is_whitespace) => Err(format!(
                "{scheme}: is not supported; use ws:, wss:, http:, https: (socket.io), nats:, tls: (NATS), local:PATH or a \
                 command"
            )),
            _ => Ok(None),
        }
    }

    /// Whether it is that of a NATS server with a login.
    pub(crate) fn has_login(&self) -> bool {
        match self {
            Url::Nats(server) => server.parse().is_ok_and(|server: url::Url| !server.username().is_empty()),
            _ => false,
        }
    }

    /// # Errors
    /// The transport is not part of this build, or cannot have a plugin of this name.
    pub(crate) fn registration(self, name: String, token: Option<&str>, nats: &Nats) -> Result<Registration, String> {
        match self {
            Url::WebSocket(url) => {
                let mut config = WsConnectorConfig::default();
                config.token = token.map(str::to_owned);
                Ok(transport_ws::plugin_with(name, &url, config))
            }
            Url::SocketIo(url) => socket_io(name, &url, token),
            Url::Nats(server) => nats.registration(name, server, token),
            Url::Local(path) => Ok(transport_ipc::local::plugin(name, &path)),
        }
    }
}

impl NamedPlace {
    /// # Errors
    /// The transport is not part of this build or cannot have a plugin of this name, or the command is empty.
    pub(crate) fn registration(
        self,
        channel: Channel,
        token: Option<&str>,
        nats: &Nats,
    ) -> Result<Registration, String> {
        let NamedPlace { name, place } = self;
        match place {
            Place::Url(url) => url.registration(name, token, nats),
            Place::Command(words) => {
                let mut words = words.into_iter();
                let program = words.next().ok_or("the command is empty")?;
                Ok(transport_ipc::child(name, Program::new(program).args(words).channel(channel.into())))
            }
        }
    }
}

impl From<Channel> for ChannelKind {
    fn from(channel: Channel) -> ChannelKind {
        match channel {
            Channel::Stdio => ChannelKind::Stdio,
            Channel::Node => ChannelKind::Node,
            Channel::Local => ChannelKind::Local,
        }
    }
}

#[cfg(feature = "socketio")]
fn socket_io(name: String, url: &str, token: Option<&str>) -> Result<Registration, String> {
    let mut config = transport_socketio::SocketIoConnectorConfig::default();
    config.token = token.map(str::to_owned);
    Ok(transport_socketio::plugin_with(name, url, config))
}

#[cfg(not(feature = "socketio"))]
fn socket_io(_: String, url: &str, _: Option<&str>) -> Result<Registration, String> {
    Err(format!("{url}: this `connector` was built without its feature `socketio`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_a_url_or_a_command() {
        let command = |words: &[&str]| Place::Command(words.iter().map(|word| (*word).to_owned()).collect());
        for (text, place) in [
            ("p=ws://127.0.0.1:1", Place::Url(Url::WebSocket("ws://127.0.0.1:1".to_owned()))),
            ("p=WS://127.0.0.1:1", Place::Url(Url::WebSocket("WS://127.0.0.1:1".to_owned()))),
            ("p=https://h/n?a=b", Place::Url(Url::SocketIo("https://h/n?a=b".to_owned()))),
            ("p=nats://u:p@h:4222", Place::Url(Url::Nats("nats://u:p@h:4222".to_owned()))),
            ("p=tls://h", Place::Url(Url::Nats("tls://h".to_owned()))),
            ("p=local:/tmp/x.sock", Place::Url(Url::Local("/tmp/x.sock".to_owned()))),
            ("p=python3 'my plugin.py' --url=ws://x", command(&["python3", "my plugin.py", "--url=ws://x"])),
            ("p=./plugin", command(&["./plugin"])),
        ] {
            assert_eq!(text.parse(), Ok(NamedPlace { name: "p".to_owned(), place }), "{text}");
        }
        for (text, remedy) in [
            ("ws://127.0.0.1:1", "NAME=URL"),
            ("ws://localhost:1/?token=x", "NAME=URL"),
            ("=x", "NAME=URL"),
            ("p= ", "NAME=URL"),
            ("p=ftp://x", "ftp: is not supported"),
            ("p=echo 'a", "unmatched quote"),
        ] {
            let error = text.parse::<NamedPlace>().unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
