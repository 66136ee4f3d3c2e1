//! A storm on the lifecycle of plugins, on all transports at once: activations, deactivations, removals, shutdowns and
//! calls that activate on demand, many at a time, with futures dropped at random moments. Meanwhile links are lost,
//! programs are killed, and hooks are slow, fail, or change other plugins' states.
//!
//! Every request must end. Whenever none is in flight, each plugin's state must match the last request and its hooks,
//! links, threads and processes; at the end nothing may be left behind. Hooks of programs are not checked, because a
//! killed program runs none.
//!
//! The remaining memory may exceed that after the warm-up by [`MORE_MEMORY`]. The allocator's memory for short-lived threads
//! differs between runs by 1 or 2 MiB; a leak of 210 bytes in each of the 80,000 requests in between is more than that.

mod hooks;
mod request;
mod subject;
mod tally;
mod world;

use std::path::Path;
use std::time::Instant;

use examples::{Done, report};
use fastrand::Rng;
use tokio::runtime::Handle;

use self::tally::Tally;
use self::world::World;
use crate::LifecycleArgs;
use crate::children::{plugin, progress};
use crate::processes;

/// After this many requests, all must end and everything is checked.
const ROUND: usize = 1000;
/// The share of the requests that the warm-up engine gets, which opens everything that stays open.
const WARM_UP: usize = 5;
/// How much the memory at the end may exceed that after the warm-up, in KiB.
const MORE_MEMORY: u64 = 16 * 1024;
/// The storm ends early after this many faults, because each takes time.
const FAULTS: usize = 8;

pub(crate) async fn storm(args: LifecycleArgs) -> Done {
    let program = plugin()?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let (mut rng, mut tally) = (Rng::with_seed(seed), Tally::new(args.plugins));
    let began = Instant::now();
    let warm_up = args.n / WARM_UP;
    one(&args, &program, 0..warm_up, usize::MAX, &mut rng, &mut tally).await?;
    let (descriptors, memory) = (processes::descriptors(), processes::resident());
    if tally.faults() < FAULTS {
        one(&args, &program, warm_up..args.n, descriptors, &mut rng, &mut tally).await?;
    }
    let now = processes::resident();
    tally.print();
    let (number, seconds) = (args.n, began.elapsed().as_secs_f64());
    report(format_args!("descriptors: {descriptors} → {}; memory: {memory} → {now} KiB", processes::descriptors()));
    report(format_args!("{number} requests in {seconds:.0} s, seed {seed}"));
    if now > memory + MORE_MEMORY {
        return Err(format!("more than {MORE_MEMORY} KiB leaked").into());
    }
    match tally.faults() {
        0 => Ok(()),
        _ => Err("the lifecycle storm found faults".into()),
    }
}

/// Runs one engine with some of the requests.
async fn one(
    args: &LifecycleArgs,
    program: &Path,
    numbers: std::ops::Range<usize>,
    descriptors: usize,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Done {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let mut world = World::new(args, program.to_owned(), rng, tally).await?;
    let last = numbers.end;
    for number in numbers {
        world.one(number).await?;
        if (number + 1) % ROUND == 0 || number + 1 == last {
            world.settle().await;
            progress(format_args!("{} of {}, {} children started", number + 1, args.n, world.tally.programs()));
        }
        if world.tally.faults() >= FAULTS {
            report("too many faults: stopping");
            break;
        }
    }
    world.end(tasks, descriptors).await;
    Ok(())
}
