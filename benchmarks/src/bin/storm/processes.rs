//! Inspects this process, its children and its leaks through `/proc`.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// A variable in the environment of each process that a storm starts, so that orphans are found, too.
pub(crate) const MARK: &str = "PLUGIN_STORM";

/// A variable with the name of the plugin that a process is, where a storm has several.
pub(crate) const NAME: &str = "PLUGIN_STORM_NAME";

/// The children of this process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Zombies: ended, but not reaped.
    pub(crate) zombies: usize,
    /// Running ones, and those marked by this process whatever their parent is now.
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
                Process { pid, .. } if pid != us && has(pid, MARK, &mark) => left.strays += 1,
                _ => {}
            }
        }
        left
    }
}

/// The value of [`MARK`].
pub(crate) fn mark() -> String {
    std::process::id().to_string()
}

fn has(pid: u32, variable: &str, value: &str) -> bool {
    let line = format!("{variable}={value}");
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
        // Skips processes that end meanwhile.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Skips the name, which may contain anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        Some(Process { pid, state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
    })
}

/// Kills a child of this process that still runs, if there is one.
pub(crate) fn kill_a_child() -> bool {
    let us = std::process::id();
    let running = |process: &Process| process.parent == us && process.state != 'Z';
    all().find(running).is_some_and(kill_it)
}

/// Kills the child that is the plugin of that [`NAME`], if it runs.
pub(crate) fn kill(name: &str) -> bool {
    running(name).next().is_some_and(kill_it)
}

/// How many children that are the plugin of that [`NAME`] run.
pub(crate) fn count(name: &str) -> usize {
    running(name).count()
}

fn running(name: &str) -> impl Iterator<Item = Process> {
    let us = std::process::id();
    all().filter(move |process| process.parent == us && process.state != 'Z' && has(process.pid, NAME, name))
}

fn kill_it(process: Process) -> bool {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// The number of this process's threads with that name, of which Linux keeps 15 bytes.
pub(crate) fn threads(name: &str) -> usize {
    let name = &name.as_bytes()[..name.len().min(15)];
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read(task.path().join("comm")).ok());
    names.filter(|comm| comm.strip_suffix(b"\n") == Some(name)).count()
}

/// The resident memory of this process, in KiB.
pub(crate) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// The number of open descriptors.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The socket files that this process has made: their names begin with its pid.
pub(crate) fn socket_files() -> usize {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let roots = runtime.into_iter().chain([std::env::temp_dir()]);
    let named = |entry: &fs::DirEntry, start: &str| entry.file_name().to_string_lossy().starts_with(start);
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let prefix = format!("{:x}-", std::process::id());
    roots
        .flat_map(entries)
        .filter(|folder| named(folder, "plugin-connectors"))
        .flat_map(|folder| entries(folder.path()))
        .filter(|file| named(file, &prefix))
        .count()
}
