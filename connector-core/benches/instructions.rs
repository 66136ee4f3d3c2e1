//! Instruction counts of the pure parts. Unlike their time, a busy machine does not change them.
//!
//! `cargo bench -p connector-core --bench instructions` compares with the committed `instructions.json`; `-- --save`
//! replaces it. Counted by Valgrind. (Without `gungraun`, which stores baselines in the target directory and needs a
//! runner of exactly the same version.)
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "prints a table")]
#![allow(clippy::disallowed_types, reason = "it runs itself under valgrind")]

mod cases;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use serde::{Deserialize, Serialize};

/// Tolerance of a single count, in percent. Runs of one build agree to 0.1, but unrelated code has changed a count by
/// 2.5 because of different inlining.
const TOLERANCE: f64 = 5.0;

/// Tolerance of the geometric mean of all cases, in percent.
const MEAN_TOLERANCE: f64 = 2.0;

/// Runs before counting, so that lazily initialized state exists.
const WARM_UP: u64 = 10;
const COUNTED: u64 = 100;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.json");
const NEEDED: &str = "this needs valgrind; on Debian and Ubuntu: apt install valgrind";
const SAVE: &str = "cargo bench -p connector-core --bench instructions -- --save";

#[derive(Default, Serialize, Deserialize)]
struct Counts {
    /// Versions of the compiler and valgrind, and the target.
    counted_with: String,
    /// Instructions of one run, by case.
    instructions: BTreeMap<String, u64>,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["--count", case] => under_valgrind(case),
        ["--bench"] => compare(),
        ["--save", "--bench"] => save(),
        // `cargo test --benches`, `cargo bench -- --test`: only checks that all cases run.
        _ if args.contains(&"--test") || !args.contains(&"--bench") => {
            cases::cases().into_iter().for_each(|case| case.set_up()());
            Ok(())
        }
        _ => Err("this takes `--save` and nothing else; what Criterion takes needs `--bench pure`".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<()> {
    // Skipped like tests whose programs are not installed.
    if env::var_os("REQUIRE_VALGRIND").is_none() && stdout_of("valgrind", "--version").is_err() {
        println!("skipped: {NEEDED}");
        return Ok(());
    }
    let baseline = fs::read_to_string(BASELINE).map_err(|error| format!("{BASELINE}: {error}; to make it: {SAVE}"))?;
    let baseline: Counts = serde_json::from_str(&baseline)?;
    let now = count_all(&baseline)?;
    if !now.instructions.keys().eq(baseline.instructions.keys()) {
        return Err(format!("The baseline has other cases. To take these: {SAVE}").into());
    }
    let those = |beyond: fn(f64) -> bool| {
        let changes = now.instructions.iter().map(|(case, &now)| (case, change(baseline.instructions[case], now)));
        changes.filter(|(_, change)| beyond(*change)).map(|(case, _)| case.as_str()).collect::<Vec<_>>().join(", ")
    };
    let better = those(|change| change < -TOLERANCE);
    let worse = those(|change| change > TOLERANCE);
    if !better.is_empty() {
        println!("Better by more than {TOLERANCE} %: {better}. To hold on to that: {SAVE}");
    }
    let ratio = |(case, &now): (&String, &u64)| (now as f64 / baseline.instructions[case] as f64).ln();
    let mean = now.instructions.iter().map(ratio).sum::<f64>() / now.instructions.len() as f64;
    let mean = (mean.exp() - 1.0) * 100.0;
    println!("geometric mean: {mean:+.2} %");
    if mean > MEAN_TOLERANCE {
        return Err(format!("Worse by {mean:.2} % in the geometric mean. If it has to be so: {SAVE}").into());
    }
    if !worse.is_empty() {
        return Err(format!("Worse by more than {TOLERANCE} %: {worse}. If it has to be so: {SAVE}").into());
    }
    Ok(())
}

fn save() -> Result<()> {
    let before = fs::read_to_string(BASELINE).ok().and_then(|text| serde_json::from_str(&text).ok());
    let now = count_all(&before.unwrap_or_default())?;
    Ok(fs::write(BASELINE, serde_json::to_string_pretty(&now)? + "\n")?)
}

/// In percent.
fn change(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

/// Counts every case and prints the comparison.
fn count_all(baseline: &Counts) -> Result<Counts> {
    let mut now = Counts { counted_with: tools()?, instructions: BTreeMap::new() };
    println!("counted with {}", now.counted_with);
    if !baseline.counted_with.is_empty() && now.counted_with != baseline.counted_with {
        println!("the baseline with {}: it may differ for that alone", baseline.counted_with);
    }
    println!("\n{:30} {:>10} {:>10} {:>8}", "instructions", "baseline", "now", "change");
    for case in cases::cases() {
        let count = count(&case.name)?;
        let (before, change) = match baseline.instructions.get(&case.name) {
            Some(&before) => (before.to_string(), format!("{:+.1} %", change(before, count))),
            None => ("-".into(), "new".into()),
        };
        println!("{:30} {before:>10} {count:>10} {change:>8}", case.name);
        now.instructions.insert(case.name, count);
    }
    println!();
    Ok(now)
}

/// The instructions of one run.
fn count(case: &str) -> Result<u64> {
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--cache-sim=no", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*counted_runs*")
        .arg(env::current_exe()?)
        .args(["--count", case])
        // Valgrind counts `rep movsb`, used for long copies, as one instruction per byte. Without it, whether a buffer
        // happens to grow in place matters as little as it does to time.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=0x40000000")
        .output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    let total = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
    match total {
        Some(total) if done.status.success() && total > 0 => Ok(total / COUNTED),
        _ => Err(format!("{case} was not counted:\n{said}").into()),
    }
}

/// The part of `count` that valgrind runs.
fn under_valgrind(case: &str) -> Result<()> {
    let case = cases::cases().into_iter().find(|one| one.name == case).ok_or("no such case")?;
    let mut run = case.set_up();
    (0..WARM_UP).for_each(|_| run());
    counted_runs(&mut run);
    Ok(())
}

/// The function, found by name, in which valgrind counts.
#[inline(never)]
fn counted_runs(run: &mut dyn FnMut()) {
    for _ in 0..COUNTED {
        run();
    }
}

fn tools() -> Result<String> {
    let valgrind = stdout_of("valgrind", "--version").map_err(|_| NEEDED)?;
    let rustc = stdout_of("rustc", "-vV").map_err(|error| format!("rustc: {error}"))?;
    let version = rustc.lines().next().unwrap_or_default();
    let target = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    Ok(format!("{version}, {target}, {valgrind}"))
}

fn stdout_of(program: &str, flag: &str) -> io::Result<String> {
    let done = Command::new(program).arg(flag).output()?;
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}
