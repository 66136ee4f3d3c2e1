//! Node's IPC channel, the child's end (docs/protocol.md, section 7.4).

use std::os::fd::{FromRawFd, OwnedFd};

use connector_core::{ConnectError, Link};
use rustix::fs::FileType;

use super::channel_variables;
use super::error::ChannelError;
use super::nonblocking::Restoring;
use super::stdio::socket;
use crate::codec::Stray;
use crate::config::IpcConfig;
use crate::link::line_link;

const DESCRIPTOR: &str = "NODE_CHANNEL_FD";
const MODE: &str = "NODE_CHANNEL_SERIALIZATION_MODE";

/// The channel that this program inherited from Node's `fork`, or from an engine like it. Dropping it closes it.
#[derive(Debug)]
pub struct NodeChannel(OwnedFd);

impl NodeChannel {
    /// Takes the channel that `NODE_CHANNEL_FD` names, if it is set; see [`Channel::find`](super::Channel::find) for when
    /// to call it.
    ///
    /// # Errors
    /// The variable does not name a socket, the engine uses V8's format, or other threads already run.
    pub fn take() -> Result<Option<NodeChannel>, ChannelError> {
        let Some(value) = channel_variables::take(DESCRIPTOR)? else { return Ok(None) };
        if channel_variables::take(MODE)?.as_deref() == Some("advanced") {
            return Err(ChannelError::Advanced);
        }
        let bad = |why: &str| ChannelError::NotAChannel { value: value.clone(), why: why.to_owned() };
        let number: i32 =
            value.parse().ok().filter(|number| *number > 2).ok_or_else(|| bad("not a descriptor number"))?;
        // SAFETY: the parent process left the descriptor open for this purpose and named it in a variable that was just
        // removed, so it is taken once; nothing else in this process has opened anything yet. If it is not open after
        // all, `fstat` fails and it is not closed.
        #[allow(unsafe_code)]
        let channel = unsafe { OwnedFd::from_raw_fd(number) };
        match rustix::fs::fstat(&channel) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {}
            Ok(_) => return Err(bad("not a socket")),
            Err(error) => {
                std::mem::forget(channel);
                return Err(bad(&error.to_string()));
            }
        }
        // Programs started by this one do not inherit it.
        rustix::io::fcntl_setfd(&channel, rustix::io::FdFlags::CLOEXEC).map_err(|error| bad(&error.to_string()))?;
        Ok(Some(NodeChannel(channel)))
    }

    pub(super) fn connect(self, config: &IpcConfig) -> Result<Box<dyn Link>, ConnectError> {
        Ok(Box::new(line_link(Restoring::new(self.0, socket)?, config, Stray::Fatal)))
    }
}
