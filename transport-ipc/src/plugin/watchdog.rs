//! A process that outlives a killed engine and kills its programs' descendants.
//!
//! The kernel kills an engine's programs with it, but not their descendants; only another process can do that. It is a
//! shell, the smallest program available everywhere, which waits for end of file on a pipe whose writing end the engine
//! holds. Without a shell or `grep` no watchdog runs.

use std::io::{PipeWriter, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::descendants;

/// The shell forks the watchdog and ends, so that the engine gets no unexpected child.
const SCRIPT: &str = r#"
exec 3<&0
(
    trap '' HUP INT QUIT TERM
    read -r nothing <&3
    round=0 quiet=0
    while [ $quiet -lt 3 ] && [ $round -lt 100 ]; do
        round=$((round + 1)) quiet=$((quiet + 1))
        for file in $(grep -lsF -- "$1" /proc/[0-9]*/environ); do
            process=${file#/proc/}
            kill -KILL "${process%/environ}" && quiet=0
        done
        # A process within execve has no environment yet.
        sleep 0.1 || sleep 1
    done
) &
"#;

/// Starts the watchdog, once per process. Must be called before a program is started.
pub(super) fn ensure() {
    static WATCHDOG: OnceLock<Option<PipeWriter>> = OnceLock::new();
    WATCHDOG.get_or_init(|| match start() {
        Ok(pipe) => Some(pipe),
        Err(error) => {
            tracing::debug!(%error, "no watchdog: descendants of programs may outlive a killed engine");
            None
        }
    });
}

fn start() -> std::io::Result<PipeWriter> {
    let (read, write) = pipe()?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SCRIPT, "plugin-watchdog", descendants::engine_mark()]);
    // In its own group, because a terminal signals whole groups, and in a directory that is never unmounted.
    shell.process_group(0).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    let status = shell.stdin(Stdio::from(read)).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    match status.success() {
        true => Ok(write),
        false => Err(std::io::Error::other(format!("the shell ended with {status}"))),
    }
}
