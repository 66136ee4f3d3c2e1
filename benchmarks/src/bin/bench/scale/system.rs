//! What only Linux is asked for: one processor, many descriptors, how much memory this process has.

#[cfg(target_os = "linux")]
pub(super) use self::linux::{memory, one_processor, open_many};

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::{Resource, getrlimit, setrlimit};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use crate::measure::Result;

    /// Bytes of this process's own: heap and stacks, as far as they were ever touched.
    pub(crate) fn memory() -> Result<f64> {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
        let anonymous = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB"));
        Ok(anonymous.ok_or("the kernel does not say how much memory is this process's own")?.parse::<f64>()? * 1024.0)
    }

    /// Lets this process, and those it starts, open as many files as the system allows.
    pub(crate) fn open_many() -> Result<()> {
        let limit = getrlimit(Resource::Nofile);
        Ok(setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?)
    }

    /// While it lives, this thread and the processes that it starts run on one processor.
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
            // It was allowed before.
            let _ = sched_setaffinity(None, &self.0);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use crate::measure::Result;

    pub(crate) fn memory() -> Result<f64> {
        Err("memory is read in /proc, which is Linux's".into())
    }

    pub(crate) fn open_many() -> Result<()> {
        Ok(())
    }

    pub(crate) fn one_processor() -> Result<()> {
        crate::scale::progress(format_args!("not on one processor: only Linux is asked for that"));
        Ok(())
    }
}
#[cfg(not(target_os = "linux"))]
pub(super) use self::elsewhere::{memory, one_processor, open_many};
