//! The environment variables that name a channel.

#[cfg(feature = "client")]
use crate::client::ChannelError;

/// Names the local socket that an engine serves for the program it starts.
pub(crate) const SOCKET: &str = "PLUGIN_SOCKET";

/// A variable's value, removed from the environment.
#[cfg(feature = "client")]
pub(crate) fn take(name: &str) -> Result<Option<String>, ChannelError> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    remove(name)?;
    Ok(Some(value.to_string_lossy().into_owned()))
}

/// On Linux it can be seen whether threads run.
#[cfg(all(feature = "client", target_os = "linux"))]
pub(crate) fn remove(name: &str) -> Result<(), ChannelError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count);
    if threads != 1 {
        return Err(ChannelError::TooLate);
    }
    // SAFETY: this is the process's only thread, so nobody reads the environment meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        std::env::remove_var(name);
    }
    Ok(())
}

/// Elsewhere it cannot be seen, and removing is unsafe while threads run: the variable stays.
#[cfg(all(feature = "client", not(target_os = "linux")))]
pub(crate) fn remove(_: &str) -> Result<(), ChannelError> {
    Ok(())
}
