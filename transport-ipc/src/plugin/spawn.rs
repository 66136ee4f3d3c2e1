//! Starts a program with its channel.

use std::io;
use std::process::Stdio;

use connector_core::{Link, LinkEnd};
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::process::Command;

use super::history::History;
use super::link::{Attended, ChildLink};
use super::program::{ChannelKind, Program};
use crate::codec::Stray;
use crate::config::SOCKET;
use crate::link::line_link;
use crate::local::{LocalConfig, LocalName, LocalServer};

/// # Errors
/// The program cannot be started; or, over a local socket, it ends before it has connected.
pub(super) async fn start(program: &Program, history: &History) -> Result<Box<dyn Link>, LinkEnd> {
    let (link, attended) = match program.channel {
        ChannelKind::Stdio => stdio(program, history).await?,
        ChannelKind::Node => node(program, history).await?,
        ChannelKind::Local => local(program, history).await?,
    };
    Ok(Box::new(ChildLink::new(link, attended)))
}

type Started = (Box<dyn Link>, Attended);

async fn stdio(program: &Program, history: &History) -> Result<Started, LinkEnd> {
    let mut command = command(program);
    command.stdin(Stdio::piped());
    let mut process = launch(program, command).await?;
    let (Some(read), Some(write)) = (process.stdout().take(), process.stdin().take()) else {
        return Err(LinkEnd::lost(io::Error::other("the program has no standard input and output")));
    };
    let link = line_link(tokio::io::join(read, write), &program.ipc, Stray::Printed);
    Ok((Box::new(link), Attended::new(process, program, history)))
}

#[cfg(unix)]
async fn node(program: &Program, history: &History) -> Result<Started, LinkEnd> {
    use command_fds::{CommandFdExt, FdMapping};

    /// The first after standard input, output and error.
    const DESCRIPTOR: i32 = 3;
    // Both ends close on exec: the child gets its own by the mapping, and nobody gets ours.
    let (ours, its) = std::os::unix::net::UnixStream::pair()?;
    let mut command = command(program);
    command.stdin(Stdio::null());
    command.env("NODE_CHANNEL_FD", DESCRIPTOR.to_string()).env("NODE_CHANNEL_SERIALIZATION_MODE", "json");
    let mapping = FdMapping { parent_fd: its.into(), child_fd: DESCRIPTOR };
    command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
    let process = launch(program, command).await?;
    ours.set_nonblocking(true)?;
    let link = line_link(tokio::net::UnixStream::from_std(ours)?, &program.ipc, Stray::Fatal);
    Ok((Box::new(link), Attended::new(process, program, history)))
}

#[cfg(not(unix))]
async fn node(_: &Program, _: &History) -> Result<Started, LinkEnd> {
    Err(LinkEnd::Refused("Node's channel is not written for this system: use stdio or local".to_owned()))
}

/// The engine serves a socket that only this program is told of, and only until it has connected.
async fn local(program: &Program, history: &History) -> Result<Started, LinkEnd> {
    let name = LocalName::unique();
    let config = LocalConfig::default().ipc(program.ipc.clone());
    let mut server = LocalServer::bind(&name, config).map_err(LinkEnd::lost)?;
    let mut command = command(program);
    command.stdin(Stdio::null()).env(SOCKET, name.to_string());
    let mut attended = Attended::new(launch(program, command).await?, program, history);
    // The wait is bounded by the engine, as every dial is; given up, the program is killed.
    let link = tokio::select! {
        link = server.accept_link() => link?,
        end = attended.ended() => return Err(end),
    };
    Ok((link, attended))
}

fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.program);
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

/// Starts it in a process group (a job) of its own. The command is dropped with this, and with it the parent's copies of
/// what the child inherits.
async fn launch(program: &Program, mut command: Command) -> Result<Box<dyn ChildWrapper>, LinkEnd> {
    die_with_the_engine(&mut command);
    let mut command = CommandWrap::from(command);
    command.wrap(KillOnDrop);
    #[cfg(unix)]
    command.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    command.wrap(process_wrap::tokio::JobObject);
    let started = super::spawner::run(move || command.spawn()).await?;
    let name = program.program.display();
    started.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LinkEnd::Refused(format!(
            "the program {name} cannot be started ({error}): is it installed, is the path right, does its working folder exist?"
        )),
        io::ErrorKind::PermissionDenied => {
            LinkEnd::Refused(format!("the program {name} cannot be started ({error}): is it executable?"))
        }
        _ => LinkEnd::lost(error),
    })
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
