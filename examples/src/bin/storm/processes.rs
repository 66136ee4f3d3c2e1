//! What this process has and has left behind, by way of `/proc`.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// A variable in the environment of each process that a storm starts, so that one which has lost its parent is found, too.
pub(crate) const MARK: &str = "PLUGIN_STORM";

/// The children of this process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Ended, but not waited for.
    pub(crate) zombies: usize,
    /// Those that run, and the ones marked by this process whoever is their parent now.
    pub(crate) strays: usize,
}

impl Left {
    pub(crate) fn now() -> Left {
        let (us, mark) = (std::process::id(), mark());
        let mut left = Left::default();
        for process in all() {
            match process {
                Process { parent, state: 'Z', .. } if parent == us => left.zombies += 1,
                Process { parent, .. } if parent == us => left.strays += 1,
                Process { pid, .. } if pid != us && has_mark(pid, &mark) => left.strays += 1,
                _ => {}
            }
        }
        left
    }
}

/// What [`MARK`] is set to.
pub(crate) fn mark() -> String {
    std::process::id().to_string()
}

fn has_mark(pid: u32, mark: &str) -> bool {
    let line = format!("{MARK}={mark}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == line.as_bytes()))
}

struct Process {
    pid: u32,
    parent: u32,
    state: char,
}

fn all() -> impl Iterator<Item = Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // One that ends meanwhile is none.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may hold anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        Some(Process { pid, state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
    })
}

/// Kills a child of this process that still runs, if there is one.
pub(crate) fn kill_a_child() -> bool {
    let us = std::process::id();
    let running = |process: &Process| process.parent == us && process.state != 'Z';
    let Some(child) = all().find(running) else { return false };
    let pid = i32::try_from(child.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// The descriptors that are open.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The files of local sockets that this process has made: their names begin with its number.
pub(crate) fn socket_files() -> usize {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let roots = runtime.into_iter().chain([std::env::temp_dir()]);
    let named = |entry: &fs::DirEntry, start: &str| entry.file_name().to_string_lossy().starts_with(start);
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = format!("{:x}-", std::process::id());
    roots
        .flat_map(entries)
        .filter(|folder| named(folder, "plugin-connectors"))
        .flat_map(|folder| entries(folder.path()))
        .filter(|file| named(file, &ours))
        .count()
}
