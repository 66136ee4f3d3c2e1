//! A call from plugin to plugin through the engine, compared with a call to a plugin.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::plugin::relay;
use super::table::{Row, Table, Target};
use super::{Pace, Trio, progress, system};
use crate::measure::{Result, text};

const ABOUT: &str = "\
Calls of an echo, one at a time: from this process to a plugin behind a websocket, and from plugin to plugin\n\
through this process. Each plugin has its own process, and all three share one processor. The ratio is to one\n\
hop.\n\
The last row is how much longer the second hop takes with 64 KiB than with 64 bytes, there and back; its ratio is\n\
to the same bytes written to a bare socket and read from it, there and back.";

/// One hop and two take turns within a round.
const TURNS: usize = 10;
const SIZES: [(&str, usize); 2] = [("64 bytes", 64), ("64 KiB", 64 << 10)];

pub(super) async fn measure(pace: Pace) -> Result<Table> {
    // Includes the plugins' processes.
    let _one = system::one_processor()?;
    let trio = Trio::start().await?;
    let mut sockets = Sockets::open().await?;
    let text = SIZES.map(|(_, bytes)| text(bytes));
    let mut times = [0; 2];
    for (text, times) in text.iter().zip(&mut times) {
        once(&trio, text, 200).await?;
        let [_, two] = once(&trio, text, 200).await?;
        *times = pace.times(Duration::from_secs_f64(two / 1e6)).div_ceil(TURNS);
    }
    sockets.carry(&text[1], 200).await?;
    // One hop and two for each size, in µs.
    let (mut figures, mut bare) = ([[vec![], vec![]], [vec![], vec![]]], vec![]);
    for round in 0..pace.rounds {
        progress(format_args!("two-hops: round {} of {}", round + 1, pace.rounds));
        for ((text, times), figures) in text.iter().zip(times).zip(&mut figures) {
            let mut took = [0.0; 2];
            for _ in 0..TURNS {
                let turn = once(&trio, text, times).await?;
                took = [took[0] + turn[0], took[1] + turn[1]];
            }
            for (figures, took) in figures.iter_mut().zip(took) {
                figures.push(took / TURNS as f64);
            }
        }
        bare.push(sockets.carry(&text[1], times[1] * TURNS).await?);
    }
    trio.engine.shutdown().await;

    let second = |[one, two]: &[Vec<f64>; 2]| -> Vec<f64> { two.iter().zip(one).map(|(two, one)| two - one).collect() };
    let [small, large] = [second(&figures[0]), second(&figures[1])];
    let longer = large.iter().zip(small).map(|(large, small)| large - small).collect();
    let mut rows = Vec::new();
    for ((size, _), [one, two]) in SIZES.into_iter().zip(figures) {
        let twice = Row::new(format!("{size}, two hops"), "µs", two).ratio_to(&one).target(Target::Ratio(2.2));
        rows.extend([Row::new(format!("{size}, one hop"), "µs", one), twice]);
    }
    rows.push(Row::new("64 KiB on a bare socket", "µs", bare.clone()));
    rows.push(Row::new("64 KiB, longer over the second hop", "µs", longer).ratio_to(&bare));
    Ok(Table { theme: "two-hops", about: ABOUT, rows })
}

/// The time of a call over one hop and over two, in µs.
async fn once(trio: &Trio, text: &str, times: usize) -> Result<[f64; 2]> {
    let one = relay(&trio.local, "b", times, text.to_owned()).await?;
    let two: u64 = trio.local.call("a", "relay", ("b".to_owned(), times, text.to_owned())).await?;
    Ok([one, two].map(|nanoseconds| nanoseconds as f64 / 1e3 / times as f64))
}

/// Both ends of a connection.
struct Sockets(TcpStream, TcpStream);

impl Sockets {
    async fn open() -> Result<Sockets> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let here = TcpStream::connect(listener.local_addr()?).await?;
        Ok(Sockets(here, listener.accept().await?.0))
    }

    /// The round-trip time of a text, in µs.
    async fn carry(&mut self, text: &str, times: usize) -> Result<f64> {
        let Sockets(here, there) = self;
        let (began, mut read) = (Instant::now(), vec![0; text.len()]);
        for _ in 0..times {
            tokio::try_join!(here.write_all(text.as_bytes()), there.read_exact(&mut read))?;
            tokio::try_join!(there.write_all(text.as_bytes()), here.read_exact(&mut read))?;
        }
        Ok(began.elapsed().as_secs_f64() * 1e6 / times as f64)
    }
}
