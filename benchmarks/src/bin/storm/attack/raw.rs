//! Peers that follow no rules: bytes over TCP and local sockets, and frames over websockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use super::Result;
use super::victim::Kind;

/// The time limit for connecting. A server under attack may not accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to the server at `url`, whatever it serves, and sends nothing.
pub(crate) async fn open(kind: Kind, url: &str) -> Result<Box<dyn Stream>> {
    let connecting = async {
        Ok::<_, std::io::Error>(match (kind, url.strip_prefix("local:")) {
            (Kind::Local, Some(path)) => Box::new(UnixStream::connect(path).await?) as Box<dyn Stream>,
            _ => Box::new(tcp(url).await?),
        })
    };
    limited(connecting).await
}

/// The `host:port` of a URL.
pub(crate) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

async fn tcp(url: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(authority(url)).await
}

async fn limited<T, E: std::fmt::Display>(connecting: impl Future<Output = std::result::Result<T, E>>) -> Result<T> {
    let connected = timeout(CONNECT_LIMIT, connecting).await.map_err(|_| "no connection in time".to_owned())?;
    connected.map_err(|error| error.to_string())
}

/// Sends one HTTP request over a new connection, and returns the connection and the first part of the answer, which is
/// empty if there is none.
pub(crate) async fn http(url: &str, request: &str) -> Result<(TcpStream, String)> {
    let mut stream = limited(tcp(url)).await?;
    let answer = exchange(&mut stream, request).await?;
    Ok((stream, answer))
}

/// Sends one HTTP request, and returns the first part of the answer.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &str) -> Result<String> {
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = vec![0; 4096];
    let read = timeout(CONNECT_LIMIT, stream.read(&mut answer)).await;
    answer.truncate(read.ok().and_then(std::result::Result::ok).unwrap_or_default());
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// One end of a websocket. It reads and sends only on request.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Dials a server.
    pub(crate) async fn dial(url: &str) -> Result<Socket> {
        let url = url.replacen("http://", "ws://", 1);
        limited(async {
            let stream = tcp(&url).await.map_err(|error| error.to_string())?;
            client_async(&url, stream).await.map_err(|error| error.to_string())
        })
        .await
        .map(|(socket, _)| Socket(socket))
    }

    /// Accepts an engine, and answers its handshake as a plugin without methods.
    pub(crate) async fn accept(listener: &TcpListener) -> Result<Socket> {
        let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let mut socket = Socket(accept_async(stream).await.map_err(|error| error.to_string())?);
        let handshake: Value = serde_json::from_str(&socket.receive().await?).map_err(|error| error.to_string())?;
        let answer = json!({
            "action": "response", "id": handshake["id"], "name": handshake["name"], "key": "handshake", "payload": []
        });
        socket.send(answer.to_string()).await?;
        Ok(socket)
    }

    /// Sends one message and flushes.
    pub(crate) async fn send(&mut self, text: impl Into<Utf8Bytes>) -> Result<()> {
        self.0.send(Message::Text(text.into())).await.map_err(|error| error.to_string())
    }

    /// The next text, answering pings until then.
    pub(crate) async fn receive(&mut self) -> Result<Utf8Bytes> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(_)) => self.0.flush().await.map_err(|error| error.to_string())?,
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("closed".to_owned()),
            }
        }
    }

    /// Reads, and answers pings, until the link ends.
    pub(crate) async fn answer_pings(mut self) {
        while self.receive().await.is_ok() {}
    }

    /// Writes bytes as they are, below the websocket's frames.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.get_mut().write_all(bytes).await.map_err(|error| error.to_string())
    }
}

/// The header of a masked text frame of that length, as a client sends it.
pub(crate) fn frame_header(length: u64) -> Vec<u8> {
    let mut header = vec![0x81, 0xff];
    header.extend(length.to_be_bytes());
    header.extend([0; 4]);
    header
}

/// A whole text frame as a client sends it, of at most 125 bytes.
pub(crate) fn masked_frame(text: &str) -> Vec<u8> {
    masked(0x81, text)
}

/// A frame of any kind as a client sends it, of at most 125 bytes. `kind` is the first byte of its header.
pub(crate) fn masked(kind: u8, text: &str) -> Vec<u8> {
    debug_assert!(text.len() <= 125, "longer frames have another header");
    [&[kind, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A whole text frame as a server sends it, of at most 125 bytes.
pub(crate) fn unmasked_frame(text: &str) -> Vec<u8> {
    debug_assert!(text.len() <= 125, "longer frames have another header");
    [&[0x81, text.len() as u8], text.as_bytes()].concat()
}

/// A request to an engine.
pub(crate) fn request(id: usize, name: &str, key: &str, payload: &str) -> String {
    format!(r#"{{"action":"request","id":{id},"name":"{name}","key":"{key}","payload":{payload}}}"#)
}

/// A text of that many bytes, unlike any other with another `n`.
pub(crate) fn filler(n: usize, bytes: usize) -> String {
    let mut text = format!("{n:08}");
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len())));
    text
}
