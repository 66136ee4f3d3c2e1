//! How a program that an engine starts finds its channel.

use std::io::IsTerminal;

use connector_core::{ClientConfig, ClientConnector, ConnectError, Link, LinkEnd, Plugin, Serving, async_trait};

use super::error::ChannelError;
#[cfg(unix)]
use super::node::NodeChannel;
use super::{channel_variables, stdio};
use crate::config::{IpcConfig, SOCKET};
use crate::local::{self, LocalName};

/// The channel to the engine that started this program.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the engine waits until the channel is served"]
pub enum Channel {
    /// Node's IPC channel (docs/protocol.md, section 7.4): `NODE_CHANNEL_FD`.
    #[cfg(unix)]
    Node(NodeChannel),
    /// A local socket that the engine serves: its path (on Windows its name) in `PLUGIN_SOCKET`.
    Local(LocalName),
    /// Standard input and output.
    Stdio,
}

impl Channel {
    /// Finds the channel: Node's if there is one, else a socket named in the environment, else stdio.
    ///
    /// Call it first in `main`, before starting a runtime or any thread: it removes the variables from the environment, so
    /// that programs started by this one do not use its channel. If standard input is a terminal, it prints a line on
    /// standard error that explains how this program is meant to be started.
    ///
    /// # Errors
    /// The channel cannot be used, or other threads already run.
    pub fn find() -> Result<Channel, ChannelError> {
        #[cfg(unix)]
        if let Some(channel) = NodeChannel::take()? {
            return Ok(Channel::Node(channel));
        }
        match channel_variables::take(SOCKET)? {
            Some(name) => {
                let name = LocalName::parse(&name).map_err(|error| ChannelError::BadSocket(error.to_string()))?;
                Ok(Channel::Local(name))
            }
            None => {
                if std::io::stdin().is_terminal() {
                    explain_terminal();
                }
                Ok(Channel::Stdio)
            }
        }
    }

    /// Connects to the engine.
    ///
    /// On stdio, descriptors 0 and 1 are moved: from then on standard output goes to standard error and standard input is
    /// empty, so that a stray `println!` cannot break a message. This works once per process.
    ///
    /// Other users of a shared descriptor (a shell, the next command on its line) are not affected: on Linux a pipe is
    /// opened a second time. A socket, and a pipe on other systems, is non-blocking until the link is dropped, so drop the
    /// link before calling [`std::process::exit`].
    ///
    /// # Errors
    /// The engine's socket is unreachable, or the channel cannot be used.
    pub async fn connect(self, config: IpcConfig) -> Result<Box<dyn Link>, ConnectError> {
        config.check_to_connect()?;
        match self {
            #[cfg(unix)]
            Channel::Node(channel) => channel.connect(&config),
            Channel::Local(name) => local::dial(&name, config).await,
            Channel::Stdio => stdio::connect(&config),
        }
    }

    /// Serves a plugin to the engine with the defaults, until the engine ends or closes the channel, or until
    /// [`Serving::until`]. Resolves to how the link ended.
    ///
    /// The program should then end. To the engine, a program that stops gracefully and ends with exit code 0 has closed its
    /// link.
    pub fn serve(self, plugin: Plugin) -> Serving {
        self.serve_with(plugin, IpcConfig::default())
    }

    /// As [`serve`](Channel::serve), with a configuration. For another [`ClientConfig`], use [`connect`](Channel::connect)
    /// and [`connector_core::connect`].
    pub fn serve_with(self, plugin: Plugin, config: IpcConfig) -> Serving {
        let channel = Once { channel: Some(self), config };
        connector_core::serve(channel, move || plugin.clone(), ClientConfig::default())
    }
}

/// Explains the lines of JSON to a user who started the program from a terminal.
#[allow(clippy::print_stderr, reason = "a program started by hand may have no tracing subscriber")]
fn explain_terminal() {
    eprintln!(
        "An engine starts this program and talks to it over its standard input and output; see transport_ipc::child. \
         Press Ctrl-D or Ctrl-C to end it."
    );
}

/// The one link of a channel.
struct Once {
    channel: Option<Channel>,
    config: IpcConfig,
}

#[async_trait]
impl ClientConnector for Once {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        match self.channel.take() {
            // Dropped only when the program is stopping.
            Some(channel) => Ok(channel.connect(self.config.clone()).await?),
            None => Err(LinkEnd::Closed { code: None, reason: String::new() }),
        }
    }
}
