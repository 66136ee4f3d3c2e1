//! Connections that hold places and memory without having proved anything.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

use super::load::Operation::Join;
use super::raw::{self, Socket};
use super::verdict::Side::Stranger;
use super::victim::Kind::{Hub, Local, Ws, WsToken};
use super::{Case, FOUND, Result, Target};

pub(super) const SILENT: Case =
    Case::new("silent-ws", Ws, Stranger, 200, &silent).about("200 silent TCP connections every 5 s").politely(Join);
pub(super) const ARRIVALS: Case = Case::new("arrivals-ws", Ws, Stranger, 2000, &arrivals)
    .about("2,000 silent TCP connections a second, of which the last 4,000 stay open");
const HALF_FRAMES: Case =
    Case::new("half-frames-ws", Ws, Stranger, 100, &half_frames).about("100 sockets with an unfinished 16 MiB frame");
pub(super) const PLAIN_GET: Case =
    Case::new("plain-get-ws", Ws, Stranger, 1, &plain_get).about("a plain GET, which needs an answer").brief();

pub(super) const CASES: &[Case] = &[
    SILENT,
    SILENT.at("silent-token-ws", WsToken),
    SILENT.at("silent-hub", Hub),
    SILENT.at("silent-local", Local),
    ARRIVALS,
    ARRIVALS.at("arrivals-hub", Hub),
    Case::new("pings-ws", Ws, Stranger, 128, &pings).about("128 links that only answer pings"),
    HALF_FRAMES,
    HALF_FRAMES.at("half-frames-hub", Hub),
    Case::new("half-lines-local", Local, Stranger, 64, &half_lines)
        .about("64 local sockets with an unfinished 16 MiB line"),
    Case::new("wrong-token-ws", WsToken, Stranger, 16, &wrong_token)
        .about("16 clients with a wrong token at full speed")
        .politely(Join),
    PLAIN_GET,
    PLAIN_GET.at("plain-get-hub", Hub),
];

/// The interval between bursts of silent connections.
const BURST: Duration = Duration::from_secs(5);
/// How often connections that arrive steadily become due, and how often in a second.
const TICK: Duration = Duration::from_millis(10);
const TICKS: usize = 100;
/// The largest message of every transport.
const LARGEST: usize = 16 << 20;

async fn silent(target: Target) -> Result<impl Send> {
    let (mut open, began) = (Vec::new(), Instant::now());
    for burst in 0.. {
        let connecting = (0..target.n).map(|_| raw::open(target.kind, &target.url));
        for stream in join_all(connecting).await.into_iter().flatten() {
            target.count();
            open.push(stream);
        }
        let next = began + BURST * (burst + 1);
        if next >= target.until {
            break;
        }
        sleep_until(next).await;
    }
    Ok(open)
}

async fn arrivals(target: Target) -> Result<impl Send> {
    let max = 2 * target.n;
    let (mut ticks, mut opening, mut open) = (interval(TICK), FuturesUnordered::new(), VecDeque::new());
    while Instant::now() < target.until {
        tokio::select! {
            _ = ticks.tick() => {
                let due = target.n.div_ceil(TICKS).min(max.saturating_sub(opening.len()));
                opening.extend((0..due).map(|_| raw::open(target.kind, &target.url)));
            }
            Some(opened) = opening.next() => {
                if let Ok(stream) = opened {
                    target.count();
                    open.push_back(stream);
                }
                if open.len() > max {
                    open.pop_front();
                }
            }
        }
    }
    drop(opening);
    Ok(open)
}

async fn pings(target: Target) -> Result<impl Send> {
    let mut links = JoinSet::new();
    for _ in 0..target.n {
        if let Ok(link) = Socket::dial(&target.url).await {
            target.count();
            links.spawn(link.answer_pings());
        }
    }
    Ok(links)
}

async fn half_frames(target: Target) -> Result<Vec<Socket>> {
    half_frames_at(&target.url, &target).await
}

/// `url` is the websocket's.
pub(super) async fn half_frames_at(url: &str, target: &Target) -> Result<Vec<Socket>> {
    let mut open = Vec::new();
    for _ in 0..target.n {
        let Ok(mut socket) = Socket::dial(url).await else { continue };
        // All but the last byte, or as much as the victim takes.
        let mut frame = raw::frame_header(LARGEST as u64);
        frame.resize(frame.len() + LARGEST - 1, b'x');
        let _ = tokio::time::timeout(Duration::from_secs(1), socket.write(&frame)).await;
        target.count();
        open.push(socket);
    }
    Ok(open)
}

async fn half_lines(target: Target) -> Result<impl Send> {
    use tokio::io::AsyncWriteExt;
    let (mut open, line) = (Vec::new(), vec![b'x'; LARGEST - 1]);
    for _ in 0..target.n {
        let Ok(mut stream) = raw::open(target.kind, &target.url).await else { continue };
        // Or as much of it as the victim takes.
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&line)).await;
        target.count();
        open.push(stream);
    }
    Ok(open)
}

async fn wrong_token(target: Target) -> Result<()> {
    let clients = (0..target.n).map(|_| async {
        while Instant::now() < target.until {
            if Socket::dial(&format!("{}/?token=wrong", target.url)).await.is_ok() {
                return Err(format!("{FOUND}a wrong token was accepted"));
            }
            target.count();
        }
        Ok(())
    });
    join_all(clients).await.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(())
}

/// The answer has to be an error of HTTP with a text.
async fn plain_get(target: Target) -> Result<()> {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", raw::authority(&target.url));
    let (_stream, answer) = raw::http(&target.url, &request).await?;
    target.count();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.starts_with("HTTP/1.1 4") && !body.is_empty() {
        true => Ok(()),
        false => Err(format!("{FOUND}the answer is {answer:?}")),
    }
}
