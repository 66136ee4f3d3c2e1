//! Node's IPC channel, the child's end (docs/protocol.md, section 7.4).

use std::os::fd::{FromRawFd, OwnedFd};

use connector_core::{Link, LinkEnd};
use rustix::fs::FileType;

use super::environment;
use super::error::ChannelError;
use super::nonblocking::Restoring;
use super::stdio::socket;
use crate::codec::Stray;
use crate::config::IpcConfig;
use crate::link::line_link;

const DESCRIPTOR: &str = "NODE_CHANNEL_FD";
const MODE: &str = "NODE_CHANNEL_SERIALIZATION_MODE";

/// The channel that Node's `fork`, or an engine like it, has given to this program. Dropping it closes it.
#[derive(Debug)]
pub struct NodeChannel(OwnedFd);

impl NodeChannel {
    /// Takes the channel that `NODE_CHANNEL_FD` names, if it names one; see [`Channel::find`](super::Channel::find) for
    /// when to call it.
    ///
    /// # Errors
    /// It names no socket, the engine wants V8's format, or threads run already.
    pub fn take() -> Result<Option<NodeChannel>, ChannelError> {
        let Some(value) = environment::take(DESCRIPTOR)? else { return Ok(None) };
        if environment::take(MODE)?.as_deref() == Some("advanced") {
            return Err(ChannelError::Advanced);
        }
        let bad = |why: &str| ChannelError::NotAChannel { value: value.clone(), why: why.to_owned() };
        let number: i32 =
            value.parse().ok().filter(|number| *number > 2).ok_or_else(|| bad("no descriptor's number"))?;
        // SAFETY: whoever started this program left the descriptor open for this use and named it in a variable that was
        // just removed, so it is taken once; nothing else in this process has opened anything yet. If it is not open
        // after all, the next call says so and it is not closed.
        #[allow(unsafe_code)]
        let channel = unsafe { OwnedFd::from_raw_fd(number) };
        match rustix::fs::fstat(&channel) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {}
            Ok(_) => return Err(bad("it is no socket")),
            Err(error) => {
                std::mem::forget(channel);
                return Err(bad(&error.to_string()));
            }
        }
        // Programs that this one starts do not get it.
        rustix::io::fcntl_setfd(&channel, rustix::io::FdFlags::CLOEXEC).map_err(|error| bad(&error.to_string()))?;
        Ok(Some(NodeChannel(channel)))
    }

    pub(super) fn connect(self, config: &IpcConfig) -> Result<Box<dyn Link>, LinkEnd> {
        Ok(Box::new(line_link(Restoring::new(self.0, socket)?, config, Stray::Fatal)))
    }
}
