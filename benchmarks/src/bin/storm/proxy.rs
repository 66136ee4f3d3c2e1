//! A TCP proxy that injects one fault, or cuts its connections on request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Both connections are reset.
    Cut,
    /// Nothing passes any more, and neither end is notified.
    Stall,
    /// One byte is changed.
    Garble,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToPlugin,
    ToEngine,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) direction: Direction,
    /// The byte offset in that direction's stream, counted over all connections.
    pub(crate) at: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at byte {} {:?}", self.kind, self.at, self.direction)
    }
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    struck: Arc<AtomicBool>,
    cut: Arc<Notify>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(url: &str, fault: Option<Fault>) -> std::io::Result<Proxy> {
        let (scheme, target) = url.split_once("://").unwrap_or(("ws", url));
        let target = target.trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{scheme}://{}", listener.local_addr()?);
        let (struck, passed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (strikes, cut) = (Arc::clone(&struck), Arc::new(Notify::new()));
        let cuts = Arc::clone(&cut);
        let accepting = tokio::spawn(async move {
            while let Ok((engine, _)) = listener.accept().await {
                let Ok(plugin) = TcpStream::connect(&target).await else { continue };
                let connection = connection(engine, plugin, fault, Arc::clone(&strikes), Arc::clone(&passed));
                let cuts = Arc::clone(&cuts);
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        () = cuts.notified() => {}
                    }
                });
            }
        });
        Ok(Proxy { url, struck, cut, accepting })
    }

    /// Cuts all current connections.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    pub(crate) fn has_struck(&self) -> bool {
        self.struck.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(
    engine: TcpStream,
    plugin: TcpStream,
    fault: Option<Fault>,
    struck: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
) {
    // Dropped at a cut: the kernel resets a connection with unread bytes and closes the others.
    let (from_engine, to_engine) = engine.into_split();
    let (from_plugin, to_plugin) = plugin.into_split();
    let with = |direction| {
        let fault = fault.filter(|fault| fault.direction == direction)?;
        Some((fault, Arc::clone(&struck), Arc::clone(&passed)))
    };
    tokio::select! {
        () = pass(from_engine, to_plugin, with(Direction::ToPlugin)) => {}
        () = pass(from_plugin, to_engine, with(Direction::ToEngine)) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    fault: Option<(Fault, Arc<AtomicBool>, Arc<AtomicU64>)>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        let bytes = &mut buffer[..read];
        if let Some((fault, struck, passed)) = &fault {
            let before = passed.fetch_add(read as u64, Ordering::AcqRel);
            if (before..before + read as u64).contains(&fault.at) && !struck.swap(true, Ordering::AcqRel) {
                let place = (fault.at - before) as usize;
                match fault.kind {
                    Kind::Garble => bytes[place] ^= 0x15,
                    Kind::Cut => {
                        let _ = to.write_all(&bytes[..place]).await;
                        return;
                    }
                    Kind::Stall => {
                        let _ = to.write_all(&bytes[..place]).await;
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
