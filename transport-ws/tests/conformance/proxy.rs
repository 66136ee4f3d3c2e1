//! A proxy between the two ends. Tests can cut or stall it, and inject bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use conformance::Control;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::common::masked;

#[derive(Clone, Copy, Default)]
struct State {
    /// The number of cuts. A cut ends all connections made before it.
    cuts: u64,
    off: bool,
    stalled: bool,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    newest: Arc<Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>>,
    /// A clone is held by each connection until its engine closes it.
    open: Arc<()>,
    target: SocketAddr,
    strangers: Mutex<Vec<std::net::TcpStream>>,
}

impl Proxy {
    /// Starts a proxy to `target` that runs as long as the runtime.
    pub(crate) async fn start(target: SocketAddr) -> std::io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (state, watched) = watch::channel(State::default());
        let (address, open) = (listener.local_addr()?, Arc::new(()));
        let (newest, strangers) = (Arc::default(), Mutex::default());
        let proxy = Proxy { address, state, newest, open: open.clone(), target, strangers };
        let newest = proxy.newest.clone();
        tokio::spawn(async move {
            while let Ok((engine, _)) = listener.accept().await {
                let (inject, injected) = mpsc::unbounded_channel();
                *newest.lock().unwrap() = Some(inject);
                tokio::spawn(connection(engine, target, watched.clone(), injected, open.clone()));
            }
        });
        Ok(proxy)
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Control for Proxy {
    fn cut(&self) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.off = true;
        });
    }

    fn heal(&self) {
        self.state.send_modify(|state| (state.off, state.stalled) = (false, false));
    }

    fn stall(&self) {
        self.state.send_modify(|state| state.stalled = true);
    }

    fn inject(&self, frame: &str) {
        self.inject_raw(&masked(0x81, frame.as_bytes()));
    }

    fn inject_raw(&self, bytes: &[u8]) {
        if let Some(newest) = &*self.newest.lock().unwrap() {
            let _ = newest.send(bytes.to_vec());
        }
    }

    fn stranger(&self) {
        let stranger = std::net::TcpStream::connect(self.target).unwrap();
        self.strangers.lock().unwrap().push(stranger);
    }

    fn open(&self) -> usize {
        // Not counting the references of the proxy and its listener.
        Arc::strong_count(&self.open) - 2
    }
}

async fn connection(
    engine: TcpStream,
    target: SocketAddr,
    mut state: watch::Receiver<State>,
    injected: mpsc::UnboundedReceiver<Vec<u8>>,
    open: Arc<()>,
) {
    let State { cuts, off, .. } = *state.borrow();
    if off {
        return;
    }
    let Ok(plugin) = TcpStream::connect(target).await else { return };
    let _ = (engine.set_nodelay(true), plugin.set_nodelay(true));
    let ((from_engine, to_engine), (from_plugin, to_plugin)) = (engine.into_split(), plugin.into_split());
    let (_none, nothing) = mpsc::unbounded_channel();
    let both = async {
        tokio::join!(
            forward(from_engine, to_plugin, state.clone(), injected, Some(open)),
            forward(from_plugin, to_engine, state.clone(), nothing, None),
        )
    };
    let mut cut = state.clone();
    tokio::select! {
        _ = both => {}
        _ = cut.wait_for(|state| state.cuts != cuts) => {}
    }
    // Both sockets close at once, with any unsent data.
    let _ = state.borrow_and_update();
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    mut injected: mpsc::UnboundedReceiver<Vec<u8>>,
    open: Option<Arc<()>>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let written = tokio::select! {
            Some(frame) = injected.recv() => to.write_all(&frame).await,
            read = from.read(&mut buffer) => match read {
                Ok(read) if read > 0 => {
                    let _ = state.wait_for(|state| !state.stalled).await;
                    to.write_all(&buffer[..read]).await
                }
                // The end of one half ends the corresponding half at the other end.
                _ => break,
            },
        };
        if written.is_err() {
            break;
        }
    }
    drop(open);
    let _ = state.wait_for(|state| !state.stalled).await;
    let _ = to.shutdown().await;
}
