//! What only Linux is asked for: many descriptors, how much memory this process has.

#[cfg(target_os = "linux")]
pub(super) use self::linux::{memory, open_many};

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::{Resource, getrlimit, setrlimit};

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
}
#[cfg(not(target_os = "linux"))]
pub(super) use self::elsewhere::{memory, open_many};
