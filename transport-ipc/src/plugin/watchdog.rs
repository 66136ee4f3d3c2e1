//! What outlives an engine that is killed, and ends what that has left.
//!
//! The kernel kills an engine's programs with it, but not what those have started. Nobody but another process can do
//! that: a shell, the smallest that is everywhere, which reads a pipe that nobody writes to and whose end is the engine's.
//! Where there is no shell, or no `grep`, there is no guard.

use std::io::{PipeWriter, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::descendants;

/// The shell that is started leaves another and ends, so that the engine has no child that it does not know of.
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
        # What is just becoming another program has no environment yet.
        sleep 0.1 || sleep 1
    done
) &
"#;

/// Sees to it that there is one. Once a process; to be called before a program is started.
pub(super) fn ensure() {
    static GUARD: OnceLock<Option<PipeWriter>> = OnceLock::new();
    GUARD.get_or_init(|| match start() {
        Ok(pipe) => Some(pipe),
        Err(error) => {
            tracing::debug!(%error, "no guard: what programs have started may outlive an engine that is killed");
            None
        }
    });
}

fn start() -> std::io::Result<PipeWriter> {
    let (read, write) = pipe()?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SCRIPT, "plugin-guard", descendants::of_engine()]);
    // Of its own group, since a terminal's signals go to a group, and nowhere that could be unmounted.
    shell.process_group(0).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    let status = shell.stdin(Stdio::from(read)).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    match status.success() {
        true => Ok(write),
        false => Err(std::io::Error::other(format!("the shell ended with {status}"))),
    }
}
