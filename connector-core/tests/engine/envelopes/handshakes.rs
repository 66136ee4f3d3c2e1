//! Handshakes with unusual or unreadable members.

use conformance::probe;
use connector_core::{ClientConfig, LinkEnd, connect};
use serde_json::json;

use super::host;
use crate::scripted_peer::scripted_link;
use crate::support::soon;

#[tokio::test(start_paused = true)]
async fn a_handshake_may_be_answered_with_any_form_of_its_id() {
    let host = host().await;
    for (name, id) in [("one", r#""-2""#), ("two", "-2.0"), ("three", "[-2]")] {
        let mut peers = host.register_scripted(name, Default::default());
        let activated = host.start_activation(name);
        let mut peer = peers.next().await;
        assert_eq!(peer.recv().await["id"], -2);
        // A method whose name is not a Unicode string cannot be called.
        peer.send_text(format!(r#"{{"action":"response","id":{id},"key":5,"payload":["m","\ud83d"]}}"#));
        soon(activated).await.unwrap().unwrap();
        assert_eq!(host.engine.manager().profile(name).unwrap().methods.unwrap(), ["m"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_with_an_unreadable_response_is_retried_once() {
    for heals in [true, false] {
        let host = host().await;
        let mut peers = host.register_scripted("far", Default::default());
        let activated = host.start_activation("far");
        let mut links = Vec::new();
        let unreadable = r#"{"action":"response","id":-2,"key":"handshake","payload":[NaN]}"#;
        let of_another = r#"{"action":"response","id":-2,"key":"handshbke","error":"it cannot be read"}"#;
        let readable = r#"{"action":"response","id":-2,"key":"handshake","payload":["m"]}"#;
        for answer in [unreadable, if heals { readable } else { of_another }] {
            let mut peer = peers.next().await;
            peer.recv().await;
            peer.send_text(answer);
            links.push(peer);
        }
        let activated = soon(activated).await.unwrap();
        match heals {
            true => activated.unwrap(),
            false => assert!(activated.unwrap_err().to_string().contains("cannot be read")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_first_handshake_ends_the_link() {
    let (mut engine, link) = scripted_link();
    let (_client, link) = connect(link, probe(), ClientConfig::default());
    let served = tokio::spawn(link);
    engine.recv().await;
    engine.send_text(r#"{"action":"request","id":-2,"name":"probe","key":"handshake","payload":[NaN]}"#);
    assert!(matches!(soon(served).await.unwrap(), LinkEnd::BadFrame(_)));
    assert_eq!(engine.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_with_any_content_is_answered() {
    let names = [r#"["probe"]"#, r#"["probe",5]"#, r#"["probe","\ud83d"]"#, r#"["\ud83d"]"#];
    for (payload, fine) in
        names.map(|names| (names, true)).into_iter().chain([("5", false), ("[]", false), ("[5]", false)])
    {
        let (mut engine, link) = scripted_link();
        let (_client, link) = connect(link, probe(), ClientConfig::default());
        tokio::spawn(link);
        engine.recv().await;
        engine.send_text(format!(r#"{{"action":"request","id":"h","key":"handshake","payload":{payload}}}"#));
        let answer = engine.recv().await;
        assert_eq!((&answer["id"], answer["error"].is_null()), (&json!("h"), fine), "{payload}");
        // The name in the envelope is sufficient.
        engine.send_text(format!(
            r#"{{"action":"request","id":1,"name":"probe","key":"handshake","payload":{payload}}}"#
        ));
        let answer = engine.recv().await;
        assert_eq!(
            (&answer["id"], &answer["name"], &answer["payload"][0]),
            (&json!(1), &json!("probe"), &json!("echo"))
        );
        // A repeated handshake needs no name.
        engine.send_text(format!(r#"{{"action":"request","id":2,"key":"handshake","payload":{payload}}}"#));
        let answer = engine.recv().await;
        assert_eq!((&answer["id"], &answer["payload"][0]), (&json!(2), &json!("echo")));
    }
}
