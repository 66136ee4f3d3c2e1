//! Peers that prove nothing neither keep engines out nor occupy much memory.

use crate::support::*;

#[tokio::test]
async fn a_link_without_a_plugin_handshake_gives_way_and_others_do_not() {
    let dir = SocketDir::new();
    let mut server = LocalServer::bind(&dir.name(), LocalConfig::default().max_connections(2)).unwrap();
    let (mut kept, mut engine) = connected(&mut server, &dir.name(), IpcConfig::default()).await;
    let _idle = UnixStream::connect(dir.path()).await.unwrap();
    let mut idle = soon(server.accept()).await.unwrap();
    // Until the idle one is old enough, further connections are closed.
    let (mut third, mut dialled) = soon(async {
        loop {
            let mut dialled = local::dial(&dir.name(), IpcConfig::default()).await.unwrap();
            tokio::select! {
                third = server.accept() => break (third.unwrap(), dialled),
                end = poll_fn(|cx| dialled.poll_message(cx)) => drop(end.unwrap_err()),
            }
        }
    })
    .await;
    let end = end(&mut idle).await;
    assert!(matches!(&end, LinkEnd::Lost(why) if why.to_string().contains("displaced")), "{end:?}");
    for (from, to) in [(&mut engine, &mut kept), (&mut dialled, &mut third)] {
        send(from, emit(1, Payload::null())).await.unwrap();
        assert_eq!(next_id(to).await, 1);
    }
}

#[tokio::test]
async fn before_the_plugin_handshake_a_peer_can_send_only_little() {
    let line = format!("{{\"action\":\"emit\",\"id\":1,\"payload\":[\"{}\"]}}\n", "x".repeat(1 << 20));
    for admit in [false, true] {
        let dir = SocketDir::new();
        let mut server = dir.bind().unwrap();
        let mut raw = UnixStream::connect(dir.path()).await.unwrap();
        let mut link = soon(server.accept()).await.unwrap();
        if admit {
            link.handshake_completed();
        }
        let (received, sent) = soon(async {
            tokio::join!(
                async {
                    let received = next(&mut link).await;
                    if !admit {
                        drop(link);
                    }
                    received
                },
                raw.write_all(line.as_bytes())
            )
        })
        .await;
        match received {
            Ok(message) => assert!(admit && message.unwrap().id == Some(1.into())),
            Err(end) => assert!(!admit && matches!(end, LinkEnd::TooLarge { limit: 65_536 }), "{end:?}"),
        }
        assert!(!admit || sent.is_ok());
    }
}
