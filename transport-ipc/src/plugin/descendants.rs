//! All processes that come of one program, wherever they have gone.
//!
//! A process group holds those that stay in it. One that leaves it (`setsid`, a double fork) still has the environment
//! that it was started with, and so a variable in it tells whose it is. On Linux everybody's environment can be read in
//! `/proc`; elsewhere the group, or the job, has to do.

use std::ffi::OsString;

/// The variable: the marks of the program, and before them of those whose family this engine belongs to itself.
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

    /// Looks for processes, at most, and between two: one may start another while it is being killed.
    const LOOKS: usize = 50;
    const PAUSE: Duration = Duration::from_millis(5);
    /// How much of an environment is read.
    const MOST_BYTES: u64 = 8 << 20;
    /// How long the end of a program waits for its family's.
    const LIMIT: Duration = Duration::from_secs(2);

    /// What one program's processes carry. Unless it was [swept](Mark::sweep), dropping it kills them in a thread.
    #[derive(Debug)]
    pub(in super::super) struct Mark(Option<String>);

    impl Mark {
        pub(in super::super) fn new() -> Mark {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            Mark(Some(format!("{}{number:x};", of_engine())))
        }

        /// The variable's value.
        pub(in super::super) fn value(&self) -> OsString {
            let mut value = std::env::var_os(VARIABLE).unwrap_or_default();
            value.push(self.0.as_deref().unwrap_or_default());
            value
        }

        /// Kills whoever carries it, and waits for that.
        pub(in super::super) async fn sweep(mut self) {
            let Some(mark) = self.0.take() else { return };
            let (done, told) = oneshot::channel();
            queue(Job { mark, done: Some(done) });
            // An error: there is no thread for it.
            let _ = tokio::time::timeout(LIMIT, told).await;
        }
    }

    impl Drop for Mark {
        fn drop(&mut self) {
            if let Some(mark) = self.0.take() {
                queue(Job { mark, done: None });
            }
        }
    }

    /// What the marks of all programs of this process begin with.
    pub(in super::super) fn of_engine() -> &'static str {
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

    /// To the one thread that looks, since reading in `/proc` blocks, and one look serves all who wait for one.
    fn queue(job: Job) {
        static SWEEPER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
        let sweeper = SWEEPER.get_or_init(|| {
            let (jobs, queue) = channel();
            let thread = std::thread::Builder::new().name("plugin-sweeper".to_owned());
            thread.spawn(move || work(&queue)).ok().map(|_| jobs)
        });
        if sweeper.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            tracing::warn!("no thread can be started that looks for what an ended program has left");
        }
    }

    fn work(jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let due: Vec<Job> = std::iter::once(first).chain(jobs.try_iter()).collect();
            let marks: Vec<&str> = due.iter().map(|job| job.mark.as_str()).collect();
            kill_all(&marks);
            // Nobody has to wait for it.
            due.into_iter().filter_map(|job| job.done).for_each(|done| done.send(()).unwrap_or_default());
        }
    }

    fn kill_all(marks: &[&str]) {
        for _ in 0..LOOKS {
            let Ok(entries) = std::fs::read_dir("/proc") else { return };
            let names = entries.flatten().map(|entry| entry.file_name());
            let pids = names.filter_map(|name| Pid::from_raw(name.to_str()?.parse().ok()?));
            let mut again = false;
            for pid in pids {
                again |= match look(pid, marks) {
                    Look::Carries => kill(pid, marks),
                    Look::Unclear => true,
                    Look::IsNot => false,
                };
            }
            if !again {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        tracing::warn!("processes that an ended program has left start others faster than they are killed");
    }

    #[derive(Debug, PartialEq)]
    enum Look {
        Carries,
        IsNot,
        /// It is just becoming another program, and has no environment yet.
        Unclear,
    }

    fn look(pid: Pid, marks: &[&str]) -> Look {
        let mut environment = Vec::new();
        let path = format!("/proc/{}/environ", pid.as_raw_nonzero());
        // What has ended, or is another user's, cannot be read.
        let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut environment));
        match read {
            Ok(0) if is_between_programs(pid) => Look::Unclear,
            Ok(_) if marks.iter().any(|mark| memchr::memmem::find(&environment, mark.as_bytes()).is_some()) => {
                Look::Carries
            }
            _ => Look::IsNot,
        }
    }

    /// It lives, is none of the kernel's own, and the place of its environment is not known (`proc_pid_stat(5)`).
    fn is_between_programs(pid: Pid) -> bool {
        const KERNELS_OWN: u64 = 0x20_0000;
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else { return false };
        // After the name, which may hold anything. The first of these is field 3.
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.trim().parse::<u64>().ok());
        let ended = fields.first().is_none_or(|state| matches!(*state, "Z" | "X"));
        !ended && number(9).is_some_and(|flags| flags & KERNELS_OWN == 0) && number(50) == Some(0)
    }

    /// False if it has ended meanwhile. Another process may have got its number: so it is held, and looked at again.
    fn kill(pid: Pid, marks: &[&str]) -> bool {
        let killed = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) if look(pid, marks) == Look::Carries => {
                rustix::process::pidfd_send_signal(process, Signal::KILL)
            }
            Ok(_) => return false,
            // Linux before 5.3.
            Err(rustix::io::Errno::NOSYS) => rustix::process::kill_process(pid, Signal::KILL),
            Err(_) => return false,
        };
        if killed.is_ok() {
            tracing::debug!(%pid, "killed what an ended program has left");
        }
        killed.is_ok()
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::of_engine;

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
