//! Finds and kills all descendants of a program, including those that left its process group.
//!
//! A process that leaves the group (`setsid`, a double fork) keeps the environment that it was started with, so a variable
//! there identifies its program. On Linux the environment of other processes can be read in `/proc`; elsewhere only the
//! group, or the job, is killed.

use std::ffi::OsString;

/// The variable holds the program's mark, after the marks of the programs that this engine itself descends from.
pub(super) const VARIABLE: &str = "PLUGIN_FAMILY";

#[cfg(target_os = "linux")]
pub(super) use linux::Mark;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Mark;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::hash_map::RandomState;
    use std::fs::File;
    use std::hash::BuildHasher;
    use std::io::Read;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use rustix::process::{Pid, PidfdFlags, Signal};
    use tokio::sync::oneshot;

    use super::{OsString, VARIABLE};

    /// The maximum number of passes, and the pause between two: a process may start another while it is being killed.
    const MAX_PASSES: usize = 50;
    const PAUSE: Duration = Duration::from_millis(5);
    /// How much of an environment is read, in bytes.
    const MAX_ENVIRONMENT: u64 = 8 << 20;
    /// How long the end of a program waits for the end of its descendants.
    const LIMIT: Duration = Duration::from_secs(2);

    /// Marks the processes of one program. Dropping it kills them in a thread, unless [`sweep`](Mark::sweep) already did.
    #[derive(Debug)]
    pub(in super::super) struct Mark(Option<String>);

    impl Mark {
        pub(in super::super) fn new() -> Mark {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            Mark(Some(format!("{}{number:x};", engine_mark())))
        }

        /// The variable's value.
        pub(in super::super) fn value(&self) -> OsString {
            let mut value = std::env::var_os(VARIABLE).unwrap_or_default();
            value.push(self.0.as_deref().unwrap_or_default());
            value
        }

        /// Kills the marked processes, and waits for that.
        pub(in super::super) async fn sweep(mut self) {
            let Some(mark) = self.0.take() else { return };
            let (done, finished) = oneshot::channel();
            queue(Job { mark, done: Some(done) });
            // Fails if the thread could not be started.
            let _ = tokio::time::timeout(LIMIT, finished).await;
        }
    }

    impl Drop for Mark {
        fn drop(&mut self) {
            if let Some(mark) = self.0.take() {
                queue(Job { mark, done: None });
            }
        }
    }

    /// The common prefix of the marks of all programs of this process.
    pub(in super::super) fn engine_mark() -> &'static str {
        static ENGINE: OnceLock<String> = OnceLock::new();
        ENGINE.get_or_init(|| {
            let random = RandomState::new().hash_one(std::process::id());
            format!("{:x}-{random:016x}.", std::process::id())
        })
    }

    struct Job {
        mark: String,
        done: Option<oneshot::Sender<()>>,
    }

    /// Sends a job to the single sweeper thread: reading `/proc` blocks, and one pass serves all queued jobs.
    fn queue(job: Job) {
        static SWEEPER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
        let sweeper = SWEEPER.get_or_init(|| {
            let (jobs, queue) = channel();
            let thread = std::thread::Builder::new().name("plugin-sweeper".to_owned());
            thread.spawn(move || run(&queue)).ok().map(|_| jobs)
        });
        if sweeper.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            tracing::warn!("cannot start the thread that finds the descendants of ended programs");
        }
    }

    fn run(jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let due: Vec<Job> = std::iter::once(first).chain(jobs.try_iter()).collect();
            let marks: Vec<&str> = due.iter().map(|job| job.mark.as_str()).collect();
            kill_all(&marks);
            // The receiver may be dropped.
            due.into_iter().filter_map(|job| job.done).for_each(|done| done.send(()).unwrap_or_default());
        }
    }

    fn kill_all(marks: &[&str]) {
        for _ in 0..MAX_PASSES {
            let Ok(entries) = std::fs::read_dir("/proc") else { return };
            let names = entries.flatten().map(|entry| entry.file_name());
            let pids = names.filter_map(|name| Pid::from_raw(name.to_str()?.parse().ok()?));
            let mut again = false;
            for pid in pids {
                again |= match inspect(pid, marks) {
                    Match::Marked => kill(pid, marks),
                    Match::Unknown => true,
                    Match::Unmarked => false,
                };
            }
            if !again {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        tracing::warn!("descendants of an ended program start processes faster than they are killed");
    }

    #[derive(Debug, PartialEq)]
    enum Match {
        Marked,
        Unmarked,
        /// It is within `execve` and has no environment yet.
        Unknown,
    }

    fn inspect(pid: Pid, marks: &[&str]) -> Match {
        let mut environment = Vec::new();
        let path = format!("/proc/{}/environ", pid.as_raw_nonzero());
        // Fails for a process that has ended or belongs to another user.
        let read = File::open(path).and_then(|file| file.take(MAX_ENVIRONMENT).read_to_end(&mut environment));
        match read {
            Ok(0) if is_between_programs(pid) => Match::Unknown,
            Ok(_) if marks.iter().any(|mark| memchr::memmem::find(&environment, mark.as_bytes()).is_some()) => {
                Match::Marked
            }
            _ => Match::Unmarked,
        }
    }

    /// Whether it is alive, not a kernel thread, and its environment's address is not known (`proc_pid_stat(5)`).
    fn is_between_programs(pid: Pid) -> bool {
        const KERNEL_THREAD: u64 = 0x20_0000;
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else { return false };
        // Skips the name, which may contain anything. The first of these is field 3.
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.trim().parse::<u64>().ok());
        let ended = fields.first().is_none_or(|state| matches!(*state, "Z" | "X"));
        !ended && number(9).is_some_and(|flags| flags & KERNEL_THREAD == 0) && number(50) == Some(0)
    }

    /// Returns false if it has ended meanwhile. Its pid may have been reused, so it is pinned and inspected again.
    fn kill(pid: Pid, marks: &[&str]) -> bool {
        let killed = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) if inspect(pid, marks) == Match::Marked => {
                rustix::process::pidfd_send_signal(process, Signal::KILL)
            }
            Ok(_) => return false,
            // Linux before 5.3.
            Err(rustix::io::Errno::NOSYS) => rustix::process::kill_process(pid, Signal::KILL),
            Err(_) => return false,
        };
        if killed.is_ok() {
            tracing::debug!(%pid, "killed a descendant of an ended program");
        }
        killed.is_ok()
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::engine_mark;

#[cfg(not(target_os = "linux"))]
mod other {
    use super::OsString;

    #[derive(Debug)]
    pub(in super::super) struct Mark;

    impl Mark {
        pub(in super::super) fn new() -> Mark {
            Mark
        }

        pub(in super::super) fn value(&self) -> OsString {
            OsString::new()
        }

        pub(in super::super) async fn sweep(self) {}
    }
}
