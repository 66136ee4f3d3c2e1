use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

/// Takes nothing.
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
    let wire = TrackedStream::new(tokio::io::join(reader, writer));
    let ws = WebSocketStream::from_raw_socket(wire, Role::Client, Some(config.tungstenite())).await;
    WsLink::new(ws, &config, None)
}

async fn soon<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), poll_fn(poll)).await.expect("it hangs")
}

#[tokio::test]
async fn a_pong_that_cannot_be_written_does_not_lose_what_came_before_the_end() {
    let message = br#"{"action":"emit"}"#;
    let part = [&[0x89, 0, 0x81, message.len() as u8][..], message].concat();
    let closing = [&part[..], &part, b"\x88\x02\x03\xe9"].concat();
    for (bytes, code) in [(part.repeat(2), None), (closing, Some(1001))] {
        let mut link = link(io::Cursor::new(bytes), Broken, WsConfig::default()).await;
        for _ in 0..2 {
            soon(|cx| link.poll_message(cx)).await.unwrap().unwrap();
        }
        match soon(|cx| link.poll_message(cx)).await.unwrap_err() {
            LinkEnd::Closed { code: said, .. } => assert_eq!(said, code),
            end => assert!(matches!(end, LinkEnd::Lost(_)) && code.is_none(), "{end:?}"),
        }
    }
}

#[tokio::test]
async fn a_writer_that_fails_says_so_only_after_what_had_come() {
    let bytes = b"\x81\x11{\"action\":\"emit\"}".to_vec();
    let (mut peer, reader) = tokio::io::duplex(100);
    tokio::io::AsyncWriteExt::write_all(&mut peer, &bytes).await.unwrap();
    let mut link = link(reader, Broken, WsConfig::default()).await;
    link.send(Message::new(connector_core::Action::Emit)).unwrap();
    assert!(poll_fn(|cx| Poll::Ready(link.poll_flush(cx))).await.is_pending());
    soon(|cx| link.poll_message(cx)).await.unwrap().unwrap();
    // The reading half says nothing, now or ever.
    let end = soon(|cx| link.poll_flush(cx)).await.unwrap_err();
    assert!(matches!(&end, LinkEnd::Lost(error) if error.to_string().contains("pipe")), "{end:?}");
    assert_eq!(soon(|cx| link.poll_message(cx)).await.unwrap_err().to_string(), end.to_string());
}

#[tokio::test]
async fn a_peer_that_sends_without_end_does_not_stop_the_clock() {
    let config = WsConfig::default().close_timeout(Duration::from_millis(10));
    // No frame begins with all bits set.
    let mut link = link(tokio::io::repeat(0xff), tokio::io::sink(), config).await;
    let end = soon(|cx| link.poll_message(cx)).await.unwrap_err();
    assert!(matches!(end, LinkEnd::BadFrame(_)), "{end:?}");
}

/// It cannot answer a ping that is behind a large message, but it reads.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_not_silent_until_it_stops() {
    let (mut peer, here) = tokio::io::duplex(1 << 10);
    let (reader, writer) = tokio::io::split(here);
    let mut link = link(reader, writer, WsConfig::default()).await;
    let payload = Some(connector_core::Payload::new(["x".repeat(1 << 20)]));
    link.send(Message { payload, ..Message::new(connector_core::Action::Emit) }).unwrap();
    let mut goes_on = poll_fn(|cx| {
        let _ = link.poll_flush(cx);
        link.poll_message(cx).map(|ended| ended.unwrap_err())
    });
    let mut part = [0; 1 << 10];
    for _ in 0..50 {
        let limit = tokio::time::timeout(Duration::from_secs(9), &mut goes_on).await;
        assert!(limit.is_err(), "{limit:?}");
        tokio::io::AsyncReadExt::read_exact(&mut peer, &mut part).await.unwrap();
    }
    let end = tokio::time::timeout(Duration::from_secs(21), goes_on).await.expect("nobody notices");
    assert!(matches!(end, LinkEnd::Silent(_)), "{end:?}");
}
