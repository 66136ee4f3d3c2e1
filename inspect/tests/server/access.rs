//! Who may connect.

use connector_core::{Engine, Plugin};
use connector_inspect::{ServeError, ServeOptions, serve};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{Viewer, calls_allowed, engine, http, token, within};

#[tokio::test]
async fn the_page_needs_its_host_and_token() {
    let (engine, _app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let host = inspector.local_addr().to_string();
    let page = format!("/?token={}", token(&inspector));
    let (status, response) = http(&inspector, &page, &[("Host", &host)]).await;
    assert_eq!(status, 200);
    for line in [
        "referrer-policy: no-referrer",
        "frame-ancestors 'none'",
        "cache-control: no-store",
        "<title>Inspector</title>",
    ] {
        assert!(response.contains(line), "{line}: {response}");
    }
    for (target, host, remedy) in [
        (&*page, "evil.example", "ServeOptions::host"),
        ("/", &host, "no token was sent: open the whole URL"),
        ("/?token=", &host, "the token is wrong: a new one is made at each start"),
        ("/?token=wrong", &host, "the token is wrong"),
        ("/app.js", "evil.example", "ServeOptions::host"),
    ] {
        let (status, response) = http(&inspector, target, &[("Host", host)]).await;
        assert_eq!(status, 403, "{target} {host}");
        assert!(response.contains("text/plain") && response.contains(remedy), "{target} {host}: {response}");
        assert!(!response.contains(token(&inspector)), "{response}");
    }
    assert_eq!(http(&inspector, "/missing.js", &[("Host", &host)]).await.0, 404);
}

#[tokio::test]
async fn a_websocket_from_elsewhere_is_refused() {
    let (engine, _app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let host = inspector.local_addr().to_string();
    let (own, with_token) = (format!("http://{host}"), format!("/ws?token={}", token(&inspector)));
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (target, headers, expected) in [
        (&*with_token, vec![("Host", &*host), ("Origin", "http://evil.example")], 403),
        (&*with_token, vec![("Host", "evil.example"), ("Origin", "http://evil.example")], 403),
        (&*with_token, vec![("Host", &*host)], 403),
        ("/ws", vec![("Host", &*host), ("Origin", &*own)], 403),
        ("/ws?token=wrong", vec![("Host", &*host), ("Origin", &*own)], 403),
        ("/ws", vec![("Host", &*host), ("Authorization", "Bearer wrong")], 403),
    ] {
        let (status, response) = http(&inspector, target, &[&headers[..], &upgrade].concat()).await;
        assert_eq!(status, expected, "{target} {headers:?}: {response}");
    }
    // Without an upgrade it is not a websocket.
    assert_eq!(http(&inspector, &with_token, &[("Host", &host), ("Origin", &own)]).await.0, 426);
    let mut viewer = Viewer::connect(&inspector).await;
    assert_eq!((&viewer.hello["protocol"], &viewer.hello["caller"]), (&json!(1), &json!("inspector")));
    viewer.next("state").await;
}

#[tokio::test]
async fn a_viewer_may_change_nothing_unless_calls_are_allowed() {
    let (engine, _app) = engine().await;
    let inspector = serve(&engine, ServeOptions::default()).await.unwrap();
    let mut viewer = Viewer::connect(&inspector).await;
    assert_eq!(viewer.hello["calls"], false);
    for (kind, members) in [
        ("call", json!({ "plugin": "calc", "method": "add", "args": [1, 2] })),
        ("emit", json!({ "event": "x" })),
        ("activate", json!({ "plugin": "calc" })),
        ("deactivate", json!({ "plugin": "app" })),
    ] {
        let response = viewer.request(kind, members).await;
        assert_eq!(response["code"], "readOnly", "{response}");
        assert!(response["error"].as_str().unwrap().contains("ServeOptions::allow_calls"), "{response}");
    }
    assert!(engine.manager().is_active("app") && !engine.manager().is_active("calc"));
    viewer.ok("listen", json!({ "plugin": "calc", "event": "ticked" })).await;
    viewer.ok("plugin", json!({ "plugin": "calc" })).await;
}

#[tokio::test]
async fn only_a_loopback_address_is_bound_unless_others_are_allowed() {
    let engine = Engine::new();
    let options = || ServeOptions::default().addr(([0, 0, 0, 0], 0));
    let error = serve(&engine, options()).await.unwrap_err();
    assert!(error.to_string().contains("can be reached from other machines"), "{error}");
    assert!(!engine.is_registered("inspector"));
    drop(serve(&engine, options().allow_remote(true)).await.unwrap());
}

#[tokio::test]
async fn nothing_outlives_the_inspector() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let address = inspector.local_addr();
    let mut viewer = Viewer::connect(&inspector).await;
    viewer.send("call", json!({ "plugin": "calc", "method": "hang" })).await;
    viewer.ok("listen", json!({ "plugin": "app", "event": "x" })).await;
    within(inspector.close()).await;
    while viewer.read().await.is_some() {}
    assert!(!engine.is_registered("inspector"));
    TcpStream::connect(address).await.unwrap_err();
    // The call does not hold up others any more.
    assert_eq!(within(app.call::<i64>("calc", "add", (1, 2))).await.unwrap(), 3);
    // Dropping it without waiting has the same effect.
    let inspector = calls_allowed(&engine).await;
    let (address, mut viewer) = (inspector.local_addr(), Viewer::connect(&inspector).await);
    drop(inspector);
    while viewer.read().await.is_some() {}
    within(async {
        while engine.is_registered("inspector") || TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_an_error_with_a_remedy() {
    let engine = Engine::new();
    engine.register(Plugin::new("inspector")).unwrap();
    let error = serve(&engine, ServeOptions::default()).await.unwrap_err();
    assert!(matches!(error, ServeError::Register(_)) && error.to_string().contains("ServeOptions::name"), "{error}");
    let other = serve(&engine, ServeOptions::default().name("second")).await.unwrap();
    assert_eq!(Viewer::connect(&other).await.hello["caller"], "second");
}

#[tokio::test]
async fn debug_output_does_not_show_the_token() {
    let engine = Engine::new();
    let options = ServeOptions::default().token("s3cret");
    assert!(!format!("{options:?}").contains("s3cret"));
    let inspector = serve(&engine, options).await.unwrap();
    assert!(inspector.url().ends_with("/?token=s3cret") && !format!("{inspector:?}").contains("s3cret"));
}
