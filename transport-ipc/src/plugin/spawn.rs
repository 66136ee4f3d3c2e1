//! Starts a program with its channel.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use connector_core::{Link, LinkEnd};
use process_wrap::tokio::{CommandWrap, KillOnDrop};
use tokio::process::Command;

use super::descendants::{self, Mark};
use super::link::{Attended, ChildLink};
use super::process::Group;
use super::program::{ChannelKind, Program};
use super::restart::History;
use super::{digest, resolve, spawner};
use crate::codec::Stray;
use crate::config::SOCKET;
use crate::link::line_link;
use crate::local::{BindError, LocalConfig, LocalName, LocalServer};
use crate::pipes::Pipes;
use crate::retry::is_lasting;

/// One start of a plugin's program.
pub(super) struct Start<'a> {
    pub(super) plugin: &'a Arc<str>,
    pub(super) program: &'a Program,
    pub(super) history: &'a History,
}

type Started = (Box<dyn Link>, Attended);

impl Start<'_> {
    /// # Errors
    /// It cannot be started, or is another than it should be; or, over a local socket, it ends before it has connected.
    pub(super) async fn run(&self) -> Result<Box<dyn Link>, LinkEnd> {
        let file = resolve::resolve(self.program).map_err(|error| self.failed(error, None))?;
        digest::check(self.program, &file).await?;
        let command = self.command(&file);
        let (link, attended) = match self.program.channel {
            ChannelKind::Stdio => self.stdio(command).await?,
            ChannelKind::Node => self.node(command).await?,
            ChannelKind::Local => self.local(command).await?,
        };
        tracing::debug!(plugin = &**self.plugin, file = %file.display(), "a program has been started");
        Ok(Box::new(ChildLink::new(link, attended)))
    }

    async fn stdio(&self, mut command: Command) -> Result<Started, LinkEnd> {
        command.stdin(Stdio::piped());
        let mut group = self.launch(command).await?;
        let (Some(read), Some(write)) = (group.child.stdout().take(), group.child.stdin().take()) else {
            return Err(LinkEnd::lost(io::Error::other("the program has no standard input and output")));
        };
        let link = line_link(Pipes::new(read, write), &self.program.ipc, Stray::Printed);
        Ok((Box::new(link), self.attended(group)))
    }

    #[cfg(unix)]
    async fn node(&self, mut command: Command) -> Result<Started, LinkEnd> {
        use command_fds::{CommandFdExt, FdMapping};

        /// The first after standard input, output and error.
        const DESCRIPTOR: i32 = 3;
        // Both ends close on exec: the child gets its own by the mapping, and nobody gets ours.
        let (ours, its) = std::os::unix::net::UnixStream::pair()?;
        command.stdin(Stdio::null());
        command.env("NODE_CHANNEL_FD", DESCRIPTOR.to_string()).env("NODE_CHANNEL_SERIALIZATION_MODE", "json");
        let mapping = FdMapping { parent_fd: its.into(), child_fd: DESCRIPTOR };
        command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
        let group = self.launch(command).await?;
        ours.set_nonblocking(true)?;
        let link = line_link(tokio::net::UnixStream::from_std(ours)?, &self.program.ipc, Stray::Fatal);
        Ok((Box::new(link), self.attended(group)))
    }

    #[cfg(not(unix))]
    async fn node(&self, _: Command) -> Result<Started, LinkEnd> {
        Err(LinkEnd::Refused("Node's channel is not written for this system: use stdio or local".to_owned()))
    }

    /// The engine serves a socket that only this program is told of, and only until it has connected.
    async fn local(&self, mut command: Command) -> Result<Started, LinkEnd> {
        let config = LocalConfig::default().ipc(self.program.ipc.clone());
        let mut server = LocalServer::bind(&LocalName::unique(), config).map_err(not_served)?;
        // Not the name, which the program would look for where *its* environment says that sockets are.
        command.stdin(Stdio::null()).env(SOCKET, server.address().to_string());
        let mut attended = self.attended(self.launch(command).await?);
        // The wait is bounded by the engine, as every dial is; given up, the program is killed.
        let link = tokio::select! {
            link = server.accept_link() => link?,
            end = attended.ended() => return Err(end),
        };
        Ok((link, attended))
    }

    fn attended(&self, group: Group) -> Attended {
        Attended::new(group, self.plugin, self.program, self.history)
    }

    fn command(&self, file: &Path) -> Command {
        let program = self.program;
        let mut command = Command::new(file);
        // Some programs go by the name that they are called by.
        #[cfg(unix)]
        command.arg0(&program.program);
        command.args(&program.args).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &program.current_dir {
            command.current_dir(folder);
        }
        if let Some(names) = &program.inherit_env {
            command.env_clear();
            command.envs(names.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        // An engine that is itself a child must not hand its own channel on.
        for name in ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", SOCKET] {
            command.env_remove(name);
        }
        command.envs(program.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it in a process group (a job) of its own. The command is dropped with this, and with it the parent's copies
    /// of what the child inherits.
    async fn launch(&self, mut command: Command) -> Result<Group, LinkEnd> {
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
        started.await?.map_err(|error| self.failed(error, Some(&file)))
    }

    /// Why it cannot be started, and whether it makes sense to try again. `file` is what was to be run, if it was found.
    fn failed(&self, error: io::Error, file: Option<&Path>) -> LinkEnd {
        let name = self.program.program.display();
        let remedy = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied if file.is_some_and(Path::is_dir) => {
                ": it is a folder, and not a program in it"
            }
            io::ErrorKind::NotFound if file.is_some_and(Path::is_file) => {
                ": the file is there, so does its working folder exist, and the interpreter that its first line names?"
            }
            io::ErrorKind::NotFound => ": is it installed, is the path right, does its working folder exist?",
            io::ErrorKind::PermissionDenied => ": is it executable? If not, `chmod +x` makes it so",
            _ if is_lasting(&error) => "",
            _ => return LinkEnd::lost(error),
        };
        LinkEnd::Refused(format!("the program {name} cannot be started ({error}){remedy}"))
    }
}

fn not_served(error: BindError) -> LinkEnd {
    match &error {
        BindError::Name(_) | BindError::NotPrivate { .. } => LinkEnd::Refused(error.to_string()),
        BindError::Io { source, .. } if is_lasting(source) => LinkEnd::Refused(error.to_string()),
        _ => LinkEnd::lost(error),
    }
}

/// The kernel kills the program when the thread that has started it ends: the spawner's, which lives as long as the
/// process does.
#[cfg(target_os = "linux")]
fn die_with_the_engine(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let engine = getpid();
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The engine may have died before that.
            if getppid() == Some(engine) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// Elsewhere the channel's end has to do.
#[cfg(not(target_os = "linux"))]
fn die_with_the_engine(_: &mut Command) {}
