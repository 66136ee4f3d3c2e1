//! A byte proxy between the two ends of a transport, for fixtures and tests.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::fixture::Control;
use crate::runtime::lock;

/// Carries bytes between engines and a plugin's end, and can cut, stall, inject and count connections.
///
/// It works on any byte stream. The test accepts the engines' connections and passes each to [`carry`](Proxy::carry);
/// [`tcp`](Proxy::tcp) does so for TCP. A clone is a handle to the same proxy.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

type Frame = Box<dyn Fn(&str) -> Vec<u8> + Send + Sync>;
type Held = Box<dyn Any + Send>;
type Connect = Box<dyn Fn() -> Held + Send + Sync>;

struct Shared {
    state: watch::Sender<State>,
    newest: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    /// Cloned by each connection until its engine has closed it.
    open: Arc<()>,
    frame: Frame,
    connect_idle: Mutex<Option<Connect>>,
    idle: Mutex<Vec<Held>>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// The number of cuts so far. A connection ends when it changes.
    cuts: u64,
    off: bool,
    stalled: bool,
}

impl Proxy {
    /// A proxy whose [`inject`](Control::inject) encodes a text frame with `frame`.
    pub fn new(frame: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Proxy {
        Proxy(Arc::new(Shared {
            state: watch::Sender::new(State::default()),
            newest: Mutex::default(),
            open: Arc::default(),
            frame: Box::new(frame),
            connect_idle: Mutex::default(),
            idle: Mutex::default(),
        }))
    }

    /// Sets how [`connect_idle`](Control::connect_idle) connects to the plugin's end. The proxy keeps the connections.
    ///
    /// # Panics
    /// `connect_idle` panics if connecting fails.
    #[must_use]
    pub fn with_idle_connections<S: Send + 'static>(
        self,
        connect: impl Fn() -> io::Result<S> + Send + Sync + 'static,
    ) -> Proxy {
        *lock(&self.0.connect_idle) = Some(Box::new(move || match connect() {
            Ok(connection) => Box::new(connection),
            Err(error) => panic!("cannot open an idle connection: {error}"),
        }));
        self
    }

    /// A proxy on a free port of the loopback interface that carries TCP connections to `target`, until the runtime ends;
    /// and its address. Idle connections go to `target` directly.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn tcp(
        target: SocketAddr,
        frame: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<(Proxy, SocketAddr)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let proxy = Proxy::new(frame).with_idle_connections(move || std::net::TcpStream::connect(target));
        let carrier = proxy.clone();
        tokio::spawn(async move {
            while let Ok((engine, _)) = listener.accept().await {
                let _ = engine.set_nodelay(true);
                carrier.carry(engine, async move {
                    let plugin = TcpStream::connect(target).await?;
                    let _ = plugin.set_nodelay(true);
                    Ok(plugin)
                });
            }
        });
        Ok((proxy, address))
    }

    /// Carries bytes between an engine's connection and the one to the plugin's end that `connect` makes, in a task. Must
    /// be called within a tokio runtime.
    pub fn carry<E, P>(&self, engine: E, connect: impl Future<Output = io::Result<P>> + Send + 'static)
    where
        E: AsyncRead + AsyncWrite + Send + 'static,
        P: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (inject, injected) = mpsc::unbounded_channel();
        *lock(&self.0.newest) = Some(inject);
        let (state, open) = (self.0.state.subscribe(), Arc::clone(&self.0.open));
        tokio::spawn(connection(engine, connect, state, injected, open));
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy")
    }
}

impl Control for Proxy {
    fn cut(&self) {
        self.0.state.send_modify(|state| {
            state.cuts += 1;
            state.off = true;
        });
    }

    fn heal(&self) {
        self.0.state.send_modify(|state| (state.off, state.stalled) = (false, false));
    }

    fn stall(&self) {
        self.0.state.send_modify(|state| state.stalled = true);
    }

    fn inject(&self, frame: &str) {
        self.inject_raw(&(self.0.frame)(frame));
    }

    fn inject_raw(&self, bytes: &[u8]) {
        if let Some(newest) = &*lock(&self.0.newest) {
            let _ = newest.send(bytes.to_vec());
        }
    }

    fn connect_idle(&self) {
        if let Some(connect) = &*lock(&self.0.connect_idle) {
            lock(&self.0.idle).push(connect());
        }
    }

    fn open_connections(&self) -> usize {
        // The proxy holds one itself.
        Arc::strong_count(&self.0.open) - 1
    }
}

async fn connection<E, P>(
    engine: E,
    connect: impl Future<Output = io::Result<P>>,
    state: watch::Receiver<State>,
    injected: mpsc::UnboundedReceiver<Vec<u8>>,
    open: Arc<()>,
) where
    E: AsyncRead + AsyncWrite,
    P: AsyncRead + AsyncWrite,
{
    let State { cuts, off, .. } = *state.borrow();
    if off {
        return;
    }
    let Ok(plugin) = connect.await else { return };
    let ((from_engine, to_engine), (from_plugin, to_plugin)) = (split(engine), split(plugin));
    let (_sender, nothing) = mpsc::unbounded_channel();
    let both = async {
        tokio::join!(
            copy(from_engine, to_plugin, state.clone(), injected, Some(open)),
            copy(from_plugin, to_engine, state.clone(), nothing, None),
        )
    };
    let mut cut = state.clone();
    // A cut drops both streams at once, whatever they still hold.
    tokio::select! {
        _ = both => {}
        _ = cut.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn copy<R: AsyncRead, W: AsyncWrite>(
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    mut state: watch::Receiver<State>,
    mut injected: mpsc::UnboundedReceiver<Vec<u8>>,
    open: Option<Arc<()>>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let written = tokio::select! {
            Some(bytes) = injected.recv() => to.write_all(&bytes).await,
            read = from.read(&mut buffer) => match read {
                Ok(read) if read > 0 => {
                    let _ = state.wait_for(|state| !state.stalled).await;
                    match to.write_all(&buffer[..read]).await {
                        Ok(()) => to.flush().await,
                        error => error,
                    }
                }
                // The end of one half ends the matching half of the other stream.
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
