//! The victim's process, and what an attack costs it: memory, descriptors and log lines.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Result;

/// The interval between samples. The kernel keeps the peak of the memory itself.
const INTERVAL: Duration = Duration::from_millis(50);
/// A victim that holds this much is killed, to protect the machine. No bound is close to it.
const KILLED_AT_MIB: u64 = 6 * 1024;

/// A victim that runs. Dropping it kills it.
pub(crate) struct Victim {
    /// Where clients reach it; empty for an engine.
    pub(crate) address: String,
    child: Child,
    /// The victim ends with its standard input.
    _stdin: ChildStdin,
    meter: Arc<Meter>,
}

#[derive(Default)]
struct Meter {
    idle_kib: AtomicU64,
    peak_kib: AtomicU64,
    idle_descriptors: AtomicUsize,
    peak_descriptors: AtomicUsize,
    killed: AtomicBool,
    stop: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    since: Option<Instant>,
    /// The lines of each second.
    seconds: Vec<u64>,
    longest: u64,
    /// The length of the unfinished line.
    current: u64,
}

/// The costs since [`Victim::begin`].
pub(crate) struct Costs {
    /// Peak memory over idle, in MiB.
    pub(crate) memory: u64,
    /// Peak number of descriptors over idle.
    pub(crate) descriptors: usize,
    /// Log lines in the worst second.
    pub(crate) lines: u64,
    /// The longest log line, in bytes.
    pub(crate) longest: u64,
    /// How the victim ended, if it did.
    pub(crate) died: Option<String>,
}

impl Victim {
    /// Starts this program as a victim with these arguments, and waits until it is ready.
    pub(crate) fn start(args: &[String]) -> Result<Victim> {
        let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        command.arg("victim").args(args).env("RUST_LOG", "warn");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start the victim: {error}"))?;
        let pid = child.id();
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("the victim has no pipes".to_owned());
        };
        let meter = Arc::new(Meter::default());
        let log = Arc::clone(&meter);
        thread::spawn(move || log.read(stderr));
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let Some(address) = line.trim().strip_prefix("ready") else {
            let _ = child.kill();
            return Err(format!("the victim did not start ({read:?}): try `storm victim {}`", args.join(" ")));
        };
        let address = address.trim().to_owned();
        let sampler = Arc::clone(&meter);
        thread::spawn(move || sampler.sample(pid));
        Ok(Victim { address, child, _stdin: stdin, meter })
    }

    /// The state now is idle; costs are counted from here.
    pub(crate) fn begin(&self) {
        let pid = self.child.id();
        let (resident, _) = memory(pid).unwrap_or_default();
        self.meter.idle_kib.store(resident, Ordering::Release);
        self.meter.idle_descriptors.store(descriptors(pid), Ordering::Release);
        *self.meter.log() = Log { since: Some(Instant::now()), ..Log::default() };
        // Resets the peak that the kernel keeps (proc(5), clear_refs).
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        self.meter.peak_kib.store(0, Ordering::Release);
        self.meter.peak_descriptors.store(0, Ordering::Release);
    }

    pub(crate) fn costs(&mut self) -> Costs {
        self.meter.observe(self.child.id());
        let meter = &self.meter;
        let (idle, peak) = (meter.idle_kib.load(Ordering::Acquire), meter.peak_kib.load(Ordering::Acquire));
        let (idle_descriptors, descriptors) =
            (meter.idle_descriptors.load(Ordering::Acquire), meter.peak_descriptors.load(Ordering::Acquire));
        let died = match (meter.killed.load(Ordering::Acquire), self.child.try_wait()) {
            (true, _) => Some(format!("killed at {KILLED_AT_MIB} MiB")),
            (false, Ok(Some(status))) => Some(format!("the victim died: {status}")),
            _ => None,
        };
        let log = meter.log();
        Costs {
            memory: peak.saturating_sub(idle).div_ceil(1024),
            descriptors: descriptors.saturating_sub(idle_descriptors),
            lines: log.seconds.iter().copied().max().unwrap_or_default(),
            longest: log.longest.max(log.current),
            died,
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.meter.stop.store(true, Ordering::Release);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Meter {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sample(&self, pid: u32) {
        while !self.stop.load(Ordering::Acquire) && self.observe(pid) {
            thread::sleep(INTERVAL);
        }
    }

    fn observe(&self, pid: u32) -> bool {
        let Some((resident, peak)) = memory(pid) else { return false };
        self.peak_kib.fetch_max(peak, Ordering::AcqRel);
        self.peak_descriptors.fetch_max(descriptors(pid), Ordering::AcqRel);
        if resident / 1024 > KILLED_AT_MIB {
            self.killed.store(true, Ordering::Release);
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        true
    }

    fn read(&self, mut stderr: impl Read) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = stderr.read(&mut buffer) {
            self.log().add(&buffer[..read]);
        }
    }
}

impl Log {
    fn add(&mut self, bytes: &[u8]) {
        let second = self.since.map_or(0, |since| since.elapsed().as_secs() as usize);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, 0);
        }
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            self.current += part.len() as u64;
            if lines.peek().is_some() {
                self.seconds[second] += 1;
                self.longest = self.longest.max(self.current);
                self.current = 0;
            }
        }
    }
}

/// The resident memory of a process and its peak, in KiB.
fn memory(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
