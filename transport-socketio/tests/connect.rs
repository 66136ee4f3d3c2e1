//! Establishing links: authorization, and the errors of failed dials.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, ConnectError, LinkEnd, Payload};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use transport_socketio::{BindError, SocketIoConnector, SocketIoConnectorConfig, SocketIoServer, SocketIoServerConfig};

/// Both ends of a link: accepted and dialled.
async fn both(server: &mut SocketIoServer, url: &str, config: SocketIoConnectorConfig) -> (TestLink, TestLink) {
    let (plugin, engine) = soon(async { tokio::join!(server.accept(), dial(url, config)) }).await;
    (admitted(plugin.unwrap()), engine.unwrap())
}

#[tokio::test]
async fn a_wrong_token_is_rejected() {
    let mut server = server(SocketIoServerConfig::default().token("sesame")).await;
    let url = server.url();
    let plain = SocketIoConnectorConfig::default;
    for (config, why) in [
        (plain(), "no token was sent, and the plugin requires its token"),
        (plain().token("open"), "the token is wrong"),
        (plain().token("sesame2"), "the token is wrong"),
    ] {
        let end = dial(&url, config).await.err().unwrap();
        assert_refused(&end, why);
        assert_refused(&end, "SocketIoConnectorConfig::token");
        assert!(!end.to_string().contains("sesame"), "{end}");
    }
    drop(both(&mut server, &url, plain().token("sesame")).await);
    let mut ws = raw_ws(&server).await;
    for (auth, answer) in [(r#"{"token":7}"#, "44"), ("[]", "44"), ("{", "44"), (r#"{"token":"sesame","a":1}"#, "40")] {
        send_text(&mut ws, format!("40{auth}")).await;
        let packet = receive_text(&mut ws).await.unwrap();
        assert!(packet.starts_with(answer), "{auth} {packet}");
    }
}

#[tokio::test]
async fn namespace_and_path_must_match() {
    let config = SocketIoServerConfig::default().namespace("/ädmin/x").path("/a/b");
    let mut server = server(config).await;
    let (url, plain) = (server.url(), SocketIoConnectorConfig::default);
    drop(both(&mut server, &format!("{url}?q=1"), plain().path("a/b/")).await);
    assert_refused(&dial(&url, plain()).await.err().unwrap(), "SocketIoConnectorConfig::path");
    for end in ["", "/ädmin", "/%C3%A4dmin/x", "/ädmin/x/y", "/{x}"] {
        let url = format!("http://{}{end}", server.local_addr());
        let end = dial(&url, plain().path("a/b")).await.err().unwrap();
        assert_refused(&end, "the path of the plugin's url");
        assert_refused(&end, "Invalid namespace");
    }
}

#[tokio::test]
async fn open_links_count_towards_max_connections() {
    let mut server = server(SocketIoServerConfig::default().max_connections(1)).await;
    let (url, plain) = (server.url(), SocketIoConnectorConfig::default);
    let (plugin, engine) = both(&mut server, &url, plain()).await;
    let end = dial(&url, plain()).await.err().unwrap();
    assert!(end.to_string().contains("too many connections"), "{end:?}");
    drop((plugin, engine));
    drop(both(&mut server, &url, plain()).await);
}

#[tokio::test]
async fn the_configuration_decides_what_may_be_bound() {
    let bind = |config| soon(SocketIoServer::bind("0.0.0.0:0", config));
    let error = bind(SocketIoServerConfig::default()).await.unwrap_err();
    assert!(matches!(error, BindError::Remote { .. }), "{error:?}");
    let error = bind(SocketIoServerConfig::default().allow_remote(true).token("")).await.unwrap_err();
    assert!(matches!(error, BindError::EmptyToken), "{error:?}");
    for origin in ["*", "null", "https://ide.example/"] {
        let config = SocketIoServerConfig::default().allow_remote(true).allow_origin(origin);
        transport_socketio::mount(config.clone()).unwrap_err();
        let error = bind(config).await.unwrap_err();
        assert!(matches!(&error, BindError::Origin { origin: named, .. } if named == origin), "{error:?}");
    }
    let server = bind(SocketIoServerConfig::default().allow_remote(true)).await.unwrap();
    assert_eq!(server.url(), format!("http://127.0.0.1:{}", server.local_addr().port()));
}

#[tokio::test]
async fn silent_and_hostile_connections_do_not_delay_other_clients() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let url = server.url();
    let unconnected = upgrade("", "");
    let beginnings = ["", "GET / HT", "\x16\x03\x01", "nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", &unconnected];
    let _others = connect_without_links(server.local_addr(), &beginnings).await;
    for query in ["&sid=x", "&sid=", "&EIO=3", "&transport=carrier-pigeon"] {
        let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
        let head = exchange_heads(&mut socket, &upgrade(query, "")).await;
        assert!(!head.contains(" 500 "), "{query} {head}");
    }
    let (mut plugin, mut engine) = both(&mut server, &url, SocketIoConnectorConfig::default()).await;
    send(&mut engine, emit(1, Payload::null())).await.unwrap();
    assert_eq!(next_id(&mut plugin).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_engines_connect_concurrently() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let url = server.url();
    let dialling: Vec<_> = (0..64)
        .map(|id| {
            let url = url.clone();
            tokio::spawn(async move {
                let mut link = dial(&url, SocketIoConnectorConfig::default()).await.unwrap();
                send(&mut link, emit(id, Payload::null())).await.unwrap();
                link
            })
        })
        .collect();
    let (mut plugins, mut ids, mut engines) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..64 {
        let mut plugin = soon(server.accept()).await.unwrap();
        ids.push(next_id(&mut plugin).await);
        plugins.push(plugin);
    }
    for engine in dialling {
        engines.push(engine.await.unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..64).collect::<Vec<i64>>());
}

#[tokio::test]
async fn accept_is_cancel_safe() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let url = server.url();
    let dialling = tokio::spawn(async move { dial(&url, SocketIoConnectorConfig::default()).await.unwrap() });
    // Each round polls accept once and drops the future.
    let accepted = soon(async {
        loop {
            let once = {
                let mut accept = server.accept();
                poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx))).await
            };
            if let Poll::Ready(link) = once {
                break link.unwrap();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop((accepted, dialling.await.unwrap()));
}

#[tokio::test]
async fn a_dropped_server_stops_listening_and_its_links_stay_open() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let url = server.url();
    let (mut plugin, mut engine) = both(&mut server, &url, SocketIoConnectorConfig::default()).await;
    // This connection is dropped with the server.
    let mut waiting = dial(&url, SocketIoConnectorConfig::default()).await.unwrap();
    drop(server);
    assert!(matches!(end(&mut waiting).await, LinkEnd::Closed { .. } | LinkEnd::Lost(_)));
    soon(async {
        while !matches!(dial(&url, SocketIoConnectorConfig::default()).await, Err(ConnectError::Refused(_))) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    send(&mut engine, emit(1, Payload::null())).await.unwrap();
    assert_eq!(next_id(&mut plugin).await, 1);
}

#[tokio::test]
async fn dial_errors_name_the_cause_without_secrets() {
    let (listener, url) = listener().await;
    drop(listener);
    let none = SocketIoConnectorConfig::default();
    assert_refused(
        &dial(&format!("{url}?token=hunter2"), none.clone()).await.err().unwrap(),
        "start the plugin's program",
    );
    assert_refused(&dial("ipc:///tmp/x?token=hunter2", none.clone()).await.err().unwrap(), "http://");
    assert_refused(&dial("plugin", none.clone()).await.err().unwrap(), "not a URL");
    let end = dial("http://no-such-host.invalid/?token=hunter2", none).await.err().unwrap();
    assert!(!end.to_string().contains("hunter2"), "{end}");
    assert!(end.to_string().contains("check the plugin's url"), "{end}");
}

/// Servers that send nothing at all, nothing after the upgrade, or no answer to CONNECT.
#[tokio::test]
async fn an_unanswered_dial_times_out() {
    let limit = Duration::from_millis(100);
    for steps in 0..3 {
        let (listener, url) = listener().await;
        let peer = async {
            if steps == 0 {
                std::future::pending::<()>().await;
            }
            let mut ws = accept_ws(&listener).await;
            if steps == 2 {
                send_text(&mut ws, open(Duration::from_secs(60))).await;
            }
            while receive_text(&mut ws).await.is_some() {}
            std::future::pending::<()>().await;
        };
        let dialling = dial(&url, SocketIoConnectorConfig::default().connect_timeout(limit));
        let end = tokio::select! { end = dialling => end.err().unwrap(), () = peer => unreachable!() };
        assert!(matches!(end, ConnectError::TimedOut(time) if time == limit), "{steps} {end:?}");
    }
}

async fn dial_raw(answer: &str) -> ConnectError {
    let (listener, url) = listener().await;
    let raw = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket.write_all(answer.as_bytes()).await.unwrap();
    };
    let (dialled, ()) = soon(async { tokio::join!(dial(&url, SocketIoConnectorConfig::default()), raw) }).await;
    dialled.err().expect("expected an error")
}

#[tokio::test]
async fn answers_other_than_an_upgrade_are_errors() {
    for answer in ["", "nonsense\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 101 Swit"] {
        let end = dial_raw(answer).await;
        assert!(matches!(end, ConnectError::Failed(_) | ConnectError::Protocol(_)), "{answer}: {end:?}");
    }
    for status in ["503 Service Unavailable", "500 Internal Server Error", "200 OK", "400 Bad Request"] {
        let end = dial_raw(&format!("HTTP/1.1 {status}\r\n\r\n")).await;
        assert!(matches!(&end, ConnectError::Failed(error) if error.to_string().contains(&status[..3])), "{end:?}");
    }
    for (status, remedy) in [
        ("404 Not Found", "SocketIoConnectorConfig::path"),
        ("403 Forbidden", "origin"),
        ("401 Unauthorized", "SocketIoConnectorConfig::header"),
        ("302 Found", "redirects"),
    ] {
        assert_refused(&dial_raw(&format!("HTTP/1.1 {status}\r\n\r\n")).await, remedy);
    }
}

/// The error of dialling a server that sends these texts, and stays connected.
async fn dial_server_that_answers(answers: &[&str]) -> ConnectError {
    let (listener, url) = listener().await;
    let peer = async {
        let mut ws = accept_ws(&listener).await;
        for text in answers {
            send_text(&mut ws, *text).await;
        }
        while receive_text(&mut ws).await.is_some() {}
        std::future::pending::<()>().await;
    };
    let dialling = dial(&url, SocketIoConnectorConfig::default());
    tokio::select! { end = dialling => end.err().unwrap(), () = peer => unreachable!() }
}

#[tokio::test]
async fn servers_that_do_not_speak_socket_io_are_errors() {
    let open = open(Duration::from_secs(60));
    let huge = r#"0{"sid":"x","upgrades":[],"pingInterval":18446744073709551615,"pingTimeout":18446744073709551615}"#;
    for answers in [&["hello"][..], &["0"], &["0{}"], &["4"], &[huge], &[&open, "9"], &[&open, "49"], &[&open, "4"]] {
        let end = dial_server_that_answers(answers).await;
        assert!(matches!(end, ConnectError::Protocol(_)), "{answers:?} {end:?}");
    }
    // A server that closes the connection before it answers.
    let (listener, url) = listener().await;
    let peer = async {
        let mut ws = accept_ws(&listener).await;
        send_text(&mut ws, open).await;
        receive_text(&mut ws).await;
    };
    let (end, ()) = tokio::join!(dial(&url, SocketIoConnectorConfig::default()), peer);
    assert!(matches!(end, Err(ConnectError::Failed(_))));
}

/// As long as a message may be.
#[tokio::test]
async fn an_error_quotes_only_the_beginning_of_what_a_server_answers() {
    let long = "\u{1b}[2Jx".repeat(1 << 20);
    let open = open(Duration::from_secs(60));
    let refusal = format!("44{}", serde_json::json!({ "message": long }));
    for answers in
        [&[&*format!("0{}", serde_json::json!(long))][..], &[&open, &refusal], &[&open, &format!("44{long}")]]
    {
        let error = dial_server_that_answers(answers).await;
        assert!(matches!(error, ConnectError::Protocol(_) | ConnectError::Refused(_)), "{}", error.to_string().len());
        let (text, debug) = (error.to_string(), format!("{error:?}"));
        assert!(text.len() < 10_000 && debug.len() < 20_000 && !text.contains('\u{1b}'), "{}", text.len());
    }
}

#[tokio::test]
async fn a_server_cannot_announce_odd_ping_intervals() {
    for odd in ["-1", "1.5", "1e400", "NaN", "null", "\"5\"", "18446744073709551616"] {
        let (listener, url) = listener().await;
        let peer = async {
            let mut ws = accept_ws(&listener).await;
            let open = format!(r#"0{{"sid":"x","upgrades":[],"pingInterval":{odd},"pingTimeout":1000}}"#);
            send_text(&mut ws, open).await;
            while receive_text(&mut ws).await.is_some() {}
            std::future::pending::<()>().await;
        };
        let dialling = dial(&url, SocketIoConnectorConfig::default());
        let end = tokio::select! { end = dialling => end.err().unwrap(), () = peer => unreachable!() };
        assert!(matches!(end, ConnectError::Protocol(_)), "{odd}: {end:?}");
    }
    // Very long intervals are capped, and the link works.
    let (mut link, mut ws) = raw_plugin(Duration::from_millis(2_000_000_000_000)).await;
    send_text(&mut ws, event(7)).await;
    assert_eq!(next_id(&mut link).await, 7);
    assert!(!link.notices_silence(), "the engine probes");
    // Without any time for a ping, the plugin counts as silent, at the latest once the link is up.
    let (listener, url) = listener().await;
    let peer = async {
        let mut ws = accept_ws(&listener).await;
        send_text(&mut ws, open(Duration::ZERO)).await;
        send_text(&mut ws, r#"40{"sid":"y"}"#).await;
        while receive_text(&mut ws).await.is_some() {}
        std::future::pending::<()>().await;
    };
    let dialling = async {
        match dial(&url, SocketIoConnectorConfig::default()).await {
            Ok(mut link) => assert!(matches!(end(&mut link).await, LinkEnd::Silent(_))),
            Err(error) => assert!(matches!(error, ConnectError::Failed(_)), "{error:?}"),
        }
    };
    tokio::select! { () = dialling => {}, () = peer => unreachable!() }
}

#[tokio::test]
async fn a_connector_can_dial_repeatedly() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let url = server.url();
    let mut connector = SocketIoConnector::default();
    for id in 0..20 {
        let (mut plugin, mut engine) = link_to(&mut server, &mut connector, &url).await;
        send(&mut plugin, emit(id, Payload::null())).await.unwrap();
        assert_eq!(next_id(&mut engine).await, id);
    }
}
