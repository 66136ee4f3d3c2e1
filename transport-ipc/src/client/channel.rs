//! How a program that an engine starts finds its channel.

use std::io::IsTerminal;

use connector_core::{ClientConfig, ClientConnector, Link, LinkEnd, Plugin, Serving, async_trait};

use super::error::ChannelError;
#[cfg(unix)]
use super::node::NodeChannel;
use super::{environment, stdio};
use crate::config::{IpcConfig, SOCKET};
use crate::local::{self, LocalName};

/// The channel to the engine that started this program.
#[derive(Debug)]
#[non_exhaustive]
pub enum Channel {
    /// Node's own IPC channel (docs/protocol.md, section 7.4): `NODE_CHANNEL_FD`.
    #[cfg(unix)]
    Node(NodeChannel),
    /// A local socket that the engine serves: its path (on Windows its name) in `PLUGIN_SOCKET`.
    Local(LocalName),
    /// Standard input and output.
    Stdio,
}

impl Channel {
    /// Finds the channel: Node's if there is one, else a socket's name in the environment, else stdio.
    ///
    /// To be called first thing in `main`, before a runtime or any thread is started: what is found is removed from
    /// the environment, so that programs which this one starts do not take it for theirs. If standard input is a
    /// terminal, nobody but its user is there: a line on standard error then says what starts this program.
    ///
    /// # Errors
    /// There is a channel, but none that can be used; or threads run already.
    pub fn find() -> Result<Channel, ChannelError> {
        #[cfg(unix)]
        if let Some(channel) = NodeChannel::take()? {
            return Ok(Channel::Node(channel));
        }
        match environment::take(SOCKET)? {
            Some(name) => {
                let name = LocalName::parse(&name).map_err(|error| ChannelError::BadSocket(error.to_string()))?;
                Ok(Channel::Local(name))
            }
            None => {
                if std::io::stdin().is_terminal() {
                    by_hand();
                }
                Ok(Channel::Stdio)
            }
        }
    }

    /// Connects to the engine.
    ///
    /// On stdio, descriptors 0 and 1 are moved aside: from then on standard output goes to standard error and standard
    /// input is empty, so that a stray `println!` cannot break a message. Once a process only.
    ///
    /// Whoever shares a descriptor with this program (a shell, the next command on its line) finds it as it was: Linux
    /// opens a pipe a second time. A socket, and a pipe elsewhere, is set not to block until the link is dropped, so a
    /// program that must not leave it so drops its link before it calls [`std::process::exit`].
    ///
    /// # Errors
    /// The engine's socket cannot be reached; or the channel cannot be used.
    pub async fn connect(self, config: IpcConfig) -> Result<Box<dyn Link>, LinkEnd> {
        match self {
            #[cfg(unix)]
            Channel::Node(channel) => channel.connect(&config),
            Channel::Local(name) => local::dial(&name, config).await,
            Channel::Stdio => stdio::connect(&config),
        }
    }

    /// Serves a plugin to the engine with the defaults, until the engine goes or closes the channel, or
    /// [`Serving::until`] says so; gives how the link ended.
    ///
    /// A program should end with it: an engine that is gone has no use for its plugins. One that is stopped in order, and
    /// then ends with exit code 0, is to its engine a link that was closed.
    pub fn serve(self, plugin: Plugin) -> Serving {
        connector_core::serve(Once(Some(self)), move || plugin.clone(), ClientConfig::default())
    }
}

/// Told to whoever has started the program from a terminal, and sees nothing but an odd line of JSON.
#[allow(clippy::print_stderr, reason = "a program that is run by hand may have no traces, and exactly then is told")]
fn by_hand() {
    eprintln!(
        "An engine starts this program and talks to it over its standard input and output; see transport_ipc::child. \
         Press Ctrl-D or Ctrl-C to end it."
    );
}

/// The one link of a channel.
struct Once(Option<Channel>);

#[async_trait]
impl ClientConnector for Once {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        match self.0.take() {
            // Given up only when the program is stopping.
            Some(channel) => channel.connect(IpcConfig::default()).await,
            None => Err(LinkEnd::Closed { code: None, reason: String::new() }),
        }
    }
}
