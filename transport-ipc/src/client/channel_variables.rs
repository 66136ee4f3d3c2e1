//! The environment variables that name a channel.

use super::error::ChannelError;

/// Returns a variable's value and removes it from the environment.
pub(super) fn take(name: &str) -> Result<Option<String>, ChannelError> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    remove(name)?;
    Ok(Some(value.to_string_lossy().into_owned()))
}

/// On Linux, `/proc` shows whether other threads run.
#[cfg(target_os = "linux")]
fn remove(name: &str) -> Result<(), ChannelError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count);
    if threads != 1 {
        return Err(ChannelError::TooLate);
    }
    // SAFETY: this is the process's only thread, so no other thread reads the environment meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        std::env::remove_var(name);
    }
    Ok(())
}

/// Elsewhere other threads cannot be ruled out, and removing would be unsafe: the variable stays.
#[cfg(not(target_os = "linux"))]
fn remove(_: &str) -> Result<(), ChannelError> {
    Ok(())
}
