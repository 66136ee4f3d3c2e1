//! System settings and measurements, on Linux only: one processor, many descriptors, this process's memory.

#[cfg(target_os = "linux")]
pub(super) use self::linux::{memory, one_processor, open_many};

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::{Resource, getrlimit, setrlimit};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use crate::measure::Result;

    /// This process's private memory in bytes: heap and stacks, as far as they were ever touched.
    pub(crate) fn memory() -> Result<f64> {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
        let anonymous = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB"));
        Ok(anonymous.ok_or("the kernel does not report this process's private memory")?.parse::<f64>()? * 1024.0)
    }

    /// Lets this process, and those it starts, open as many files as the system allows.
    pub(crate) fn open_many() -> Result<()> {
        let limit = getrlimit(Resource::Nofile);
        Ok(setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?)
    }

    /// Pins this thread, and the processes that it starts, to one processor until dropped.
    pub(crate) struct OneProcessor(CpuSet);

    pub(crate) fn one_processor() -> Result<OneProcessor> {
        let before = sched_getaffinity(None)?;
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one)?;
        Ok(OneProcessor(before))
    }

    impl Drop for OneProcessor {
        fn drop(&mut self) {
            // The same mask was allowed before.
            let _ = sched_setaffinity(None, &self.0);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use crate::measure::Result;

    pub(crate) fn memory() -> Result<f64> {
        Err("memory is read from /proc, which exists on Linux only".into())
    }

    pub(crate) fn open_many() -> Result<()> {
        Ok(())
    }

    pub(crate) fn one_processor() -> Result<()> {
        crate::scale::progress(format_args!("not pinned to one processor: this is supported on Linux only"));
        Ok(())
    }
}
#[cfg(not(target_os = "linux"))]
pub(super) use self::elsewhere::{memory, one_processor, open_many};
