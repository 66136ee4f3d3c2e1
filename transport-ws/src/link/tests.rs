use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

/// Fails every write.
struct Broken;

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn link<R, W>(reader: R, writer: W, config: WsConfig) -> WsLink<tokio::io::Join<R, W>>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let stream = TrackedStream::new(tokio::io::join(reader, writer));
    let ws = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config.tungstenite())).await;
    WsLink::new(ws, &config)
}

async fn soon<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), poll_fn(poll)).await.expect("timed out")
}

#[tokio::test]
async fn a_failed_pong_does_not_lose_messages_received_before_the_end() {
    let message = br#"{"action":"emit"}"#;
    let part = [&[0x89, 0, 0x81, message.len() as u8][..], message].concat();
    let closing = [&part[..], &part, b"\x88\x02\x03\xe9"].concat();
    for (bytes, code) in [(part.repeat(2), None), (closing, Some(1001))] {
        let mut link = link(io::Cursor::new(bytes), Broken, WsConfig::default()).await;
        for _ in 0..2 {
            soon(|cx| link.poll_message(cx)).await.unwrap().unwrap();
        }
        match soon(|cx| link.poll_message(cx)).await.unwrap_err() {
            LinkEnd::Closed { code: received, .. } => assert_eq!(received, code),
            end => assert!(matches!(end, LinkEnd::Lost(_)) && code.is_none(), "{end:?}"),
        }
    }
}

#[tokio::test]
async fn a_write_error_is_reported_only_after_all_received_messages() {
    let bytes = b"\x81\x11{\"action\":\"emit\"}".to_vec();
    let (mut peer, reader) = tokio::io::duplex(100);
    tokio::io::AsyncWriteExt::write_all(&mut peer, &bytes).await.unwrap();
    let mut link = link(reader, Broken, WsConfig::default()).await;
    link.send(Message::new(connector_core::Action::Emit)).unwrap();
    assert!(poll_fn(|cx| Poll::Ready(link.poll_flush(cx))).await.is_pending());
    soon(|cx| link.poll_message(cx)).await.unwrap().unwrap();
    // The peer sends nothing more.
    let end = soon(|cx| link.poll_message(cx)).await.unwrap_err();
    assert!(matches!(&end, LinkEnd::Lost(error) if error.to_string().contains("pipe")), "{end:?}");
    assert_eq!(soon(|cx| link.poll_flush(cx)).await.unwrap_err().to_string(), end.to_string());
}

#[tokio::test]
async fn a_peer_that_floods_the_link_does_not_prevent_the_close_timeout() {
    let config = WsConfig::default().close_timeout(Duration::from_millis(10));
    // A first byte with all bits set is invalid.
    let mut link = link(tokio::io::repeat(0xff), tokio::io::sink(), config).await;
    let end = soon(|cx| link.poll_message(cx)).await.unwrap_err();
    assert!(matches!(end, LinkEnd::BadFrame(_)), "{end:?}");
}

/// The peer cannot answer a ping queued behind a large message, but it reads.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_silent_until_it_stops_reading() {
    let (mut peer, here) = tokio::io::duplex(1 << 10);
    let (reader, writer) = tokio::io::split(here);
    let mut link = link(reader, writer, WsConfig::default()).await;
    let payload = Some(connector_core::Payload::new(["x".repeat(1 << 20)]));
    link.send(Message { payload, ..Message::new(connector_core::Action::Emit) }).unwrap();
    let mut running = poll_fn(|cx| {
        let _ = link.poll_flush(cx);
        link.poll_message(cx).map(|ended| ended.unwrap_err())
    });
    let mut part = [0; 1 << 10];
    for _ in 0..50 {
        let limit = tokio::time::timeout(Duration::from_secs(9), &mut running).await;
        assert!(limit.is_err(), "{limit:?}");
        tokio::io::AsyncReadExt::read_exact(&mut peer, &mut part).await.unwrap();
    }
    let end = tokio::time::timeout(Duration::from_secs(21), running).await.expect("silence was not detected");
    assert!(matches!(end, LinkEnd::Silent(_)), "{end:?}");
}
