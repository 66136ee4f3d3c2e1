//! Starts a program and sets up its channel.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use connector_core::{ConnectError, Link};
use process_wrap::tokio::{CommandWrap, KillOnDrop};
use tokio::process::Command;

use super::descendants::{self, Mark};
use super::link::{ChildLink, Supervised};
use super::process::Group;
use super::program::{ChannelKind, Program};
use super::restart::History;
use super::{digest, environment, resolve, spawner};
use crate::codec::Stray;
use crate::config::SOCKET;
use crate::link::line_link;
use crate::local::{BindError, LocalConfig, LocalName, LocalServer};
use crate::pipes::Pipes;
use crate::retry::is_permanent;

/// One start of a plugin's program.
pub(super) struct Start<'a> {
    pub(super) plugin: &'a Arc<str>,
    pub(super) program: &'a Program,
    pub(super) history: &'a History,
}

type Started = (Box<dyn Link>, Supervised);

impl Start<'_> {
    /// # Errors
    /// The program cannot be started, has a different digest, or (over a local socket) exits before it connects.
    pub(super) async fn run(&self) -> Result<Box<dyn Link>, ConnectError> {
        let file = resolve::resolve(self.program).map_err(|error| self.start_error(error, None))?;
        digest::check(self.program, &file).await?;
        let command = self.command(&file);
        let (link, supervised) = match self.program.channel {
            ChannelKind::Stdio => self.stdio(command).await?,
            ChannelKind::Node => self.node(command).await?,
            ChannelKind::Local => self.local(command).await?,
        };
        tracing::debug!(plugin = &**self.plugin, file = %file.display(), "started a program");
        Ok(Box::new(ChildLink::new(link, supervised)))
    }

    async fn stdio(&self, mut command: Command) -> Result<Started, ConnectError> {
        command.stdin(Stdio::piped());
        let mut group = self.launch(command).await?;
        let (Some(read), Some(write)) = (group.child.stdout().take(), group.child.stdin().take()) else {
            return Err(ConnectError::failed(io::Error::other("the program has no standard input and output")));
        };
        let link = line_link(Pipes::new(read, write), &self.program.ipc, Stray::Printed);
        Ok((Box::new(link), self.supervised(group)))
    }

    #[cfg(unix)]
    async fn node(&self, mut command: Command) -> Result<Started, ConnectError> {
        use command_fds::{CommandFdExt, FdMapping};

        /// The first after standard input, output and error.
        const DESCRIPTOR: i32 = 3;
        // Both ends close on exec: the child gets its end by the mapping, and no process inherits the engine's.
        let (engine_end, program_end) = std::os::unix::net::UnixStream::pair()?;
        command.stdin(Stdio::null());
        command.env("NODE_CHANNEL_FD", DESCRIPTOR.to_string()).env("NODE_CHANNEL_SERIALIZATION_MODE", "json");
        let mapping = FdMapping { parent_fd: program_end.into(), child_fd: DESCRIPTOR };
        command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
        let group = self.launch(command).await?;
        engine_end.set_nonblocking(true)?;
        let link = line_link(tokio::net::UnixStream::from_std(engine_end)?, &self.program.ipc, Stray::Fatal);
        Ok((Box::new(link), self.supervised(group)))
    }

    #[cfg(not(unix))]
    async fn node(&self, _: Command) -> Result<Started, ConnectError> {
        Err(ConnectError::Refused("Node's channel is not supported on this system: use stdio or local".to_owned()))
    }

    /// The engine serves a socket that only this program knows, and only until it has connected.
    async fn local(&self, mut command: Command) -> Result<Started, ConnectError> {
        let config = LocalConfig::default().ipc(self.program.ipc.clone());
        let mut server = LocalServer::bind(&LocalName::unique(), config).map_err(bind_error)?;
        // Not the bare name, which the program would resolve in *its* environment.
        command.stdin(Stdio::null()).env(SOCKET, server.address().to_string());
        let mut supervised = self.supervised(self.launch(command).await?);
        // The engine bounds this wait, as for every dial. Dropping it kills the program.
        let link = tokio::select! {
            link = server.accept_link() => link,
            end = supervised.ended() => return Err(ConnectError::failed(end)),
        };
        Ok((link, supervised))
    }

    fn supervised(&self, group: Group) -> Supervised {
        Supervised::new(group, self.plugin, self.program, self.inherited().1, self.history)
    }

    /// The variables of the host that it inherits, and the number of those withheld.
    fn inherited(&self) -> (Vec<(OsString, OsString)>, usize) {
        // An engine that is itself a child must not pass on its own channel.
        let own = [SOCKET, "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE"];
        environment::inherited(self.program, std::env::vars_os().filter(|(name, _)| own.iter().all(|own| name != own)))
    }

    fn command(&self, file: &Path) -> Command {
        let program = self.program;
        let mut command = Command::new(file);
        // Some programs depend on the name that they are called by.
        #[cfg(unix)]
        command.arg0(&program.program);
        command.args(&program.args).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &program.current_dir {
            command.current_dir(folder);
        }
        command.env_clear().envs(self.inherited().0);
        command.envs(program.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it in its own process group (or job). This consumes the command, and so drops the parent's copies of the
    /// descriptors that the child inherits.
    async fn launch(&self, mut command: Command) -> Result<Group, ConnectError> {
        let file = PathBuf::from(command.as_std().get_program());
        die_with_the_engine(&mut command);
        let (mark, plugin) = (Mark::new(), Arc::clone(self.plugin));
        if cfg!(target_os = "linux") {
            command.env(descendants::VARIABLE, mark.value());
        }
        let mut command = CommandWrap::from(command);
        command.wrap(KillOnDrop);
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        let started = spawner::run(move || {
            #[cfg(target_os = "linux")]
            super::watchdog::ensure();
            command.spawn().map(|child| Group::new(child, plugin, mark))
        });
        started.await?.map_err(|error| self.start_error(error, Some(&file)))
    }

    /// Why it cannot be started, and whether a retry makes sense. `file` is the resolved program, if it was found.
    fn start_error(&self, error: io::Error, file: Option<&Path>) -> ConnectError {
        let name = self.program.program.display();
        let remedy = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied if file.is_some_and(Path::is_dir) => {
                ": it is a directory, not a program"
            }
            io::ErrorKind::NotFound if file.is_some_and(Path::is_file) => {
                ": the file exists; check its working directory and the interpreter named in its first line"
            }
            io::ErrorKind::NotFound => ": check that it is installed, its path, and its working directory",
            io::ErrorKind::PermissionDenied => ": check that it is executable (`chmod +x`)",
            _ if is_permanent(&error) => "",
            _ => return ConnectError::failed(error),
        };
        ConnectError::Refused(format!("the program {name} cannot be started ({error}){remedy}"))
    }
}

fn bind_error(error: BindError) -> ConnectError {
    match &error {
        BindError::Name(_) | BindError::NotPrivate { .. } | BindError::Setting(_) => {
            ConnectError::Refused(error.to_string())
        }
        BindError::Io { error: cause, .. } if is_permanent(cause) => ConnectError::Refused(error.to_string()),
        _ => ConnectError::failed(error),
    }
}

/// The kernel kills the program when the thread that started it ends: the spawner's, which lives as long as the process.
#[cfg(target_os = "linux")]
fn die_with_the_engine(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let engine = getpid();
    // SAFETY: between fork and exec it only makes two system calls and does not allocate.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The engine may have died before the call.
            if getppid() == Some(engine) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// Elsewhere the program must detect the end of its channel.
#[cfg(not(target_os = "linux"))]
fn die_with_the_engine(_: &mut Command) {}
