//! Messages of which only a part arrives.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::Client;
use conformance::links::{TestLink, end};
use connector_core::{ClientConnector, LinkEnd, PlaceChange, Places};
use futures_util::StreamExt;
use transport_nats::{NatsReplicas, NatsServer};

use crate::support::{broker, config, within};

const TERMS: &str = r#""version":1,"maxMessage":16777216,"window":1048576,"maxPayload":1048576"#;

/// A data frame with this number.
fn data(number: u64, content: &[u8]) -> Vec<u8> {
    [&[1][..], &number.to_be_bytes(), &[0; 8], content].concat()
}

/// The beginning of a message.
fn half(announced: u32, bytes: usize) -> Vec<u8> {
    data(0, &[&announced.to_be_bytes()[..], &vec![b' '; bytes]].concat())
}

#[tokio::test]
async fn a_session_receives_little_before_the_plugin_handshake() {
    let broker = broker();
    let foreign = async_nats::connect(broker.url()).await.unwrap();
    let mut server = NatsServer::bind("probe", config(&broker)).await.unwrap();
    // Nobody listening would be the end of a session.
    let _up = foreign.subscribe("plugins.probe.session.*.up").await.unwrap();
    let mut open = async |session: &str| -> TestLink {
        let (reply, request) = (format!("plugins.probe.session.{session}.up"), format!("{{\"open\":{{{TERMS}}}}}"));
        foreign.publish_with_reply("plugins.probe.open", reply, request.into()).await.unwrap();
        within(server.accept()).await.unwrap()
    };
    let mut stranger = open("a").await;
    let mut parts = open("b").await;
    let mut engine = open("c").await;
    engine.handshake_completed();
    let send = async |session: &str, frame: Vec<u8>| {
        foreign.publish(format!("plugins.probe.session.{session}.down"), frame.into()).await.unwrap();
    };
    send("a", half(16 << 20, 70_000)).await;
    assert!(matches!(end(&mut stranger).await, LinkEnd::TooLarge { limit: 65_536 }));
    send("b", half(16 << 20, 1000)).await;
    for number in 1..66 {
        send("b", data(number, &[b' '; 1000])).await;
    }
    assert!(matches!(end(&mut parts).await, LinkEnd::TooLarge { limit: 65_536 }));
    send("c", half(70_000, 69_998)).await;
    send("c", data(1, b"{}")).await;
    let message = std::future::poll_fn(|cx| engine.poll_message(cx));
    assert!(within(message).await.is_ok());
}

/// Of a plugin that makes replicas up.
#[tokio::test]
async fn halves_from_all_replicas_of_a_plugin_take_the_room_of_four_messages() {
    let broker = broker();
    let foreign = async_nats::connect(broker.url()).await.unwrap();
    let mut opened = foreign.subscribe("plugins.probe.replica.*.open").await.unwrap();
    let mut down = foreign.subscribe("plugins.probe.session.*.down").await.unwrap();
    let often = Duration::from_millis(100);
    let config = config(&broker).max_message(100_000).window(16 << 10).probe_interval(often);
    let mut replicas = NatsReplicas::new("probe", config).unwrap();
    let mut links = Vec::new();
    for id in 0..10 {
        // They do not answer when they are asked, so that each is gone after a while.
        let found = async {
            loop {
                if let Some(PlaceChange::Found { url, connector, .. }) = within(Places::next(&mut replicas)).await {
                    break (url, connector);
                }
            }
        };
        let ((url, mut connector), ()) = tokio::join!(found, announce_until_heard(&foreign, id));
        let answered = async {
            let up = within(opened.next()).await.unwrap().reply.unwrap();
            let answer = format!("{{\"opened\":{{\"replica\":\"{id}\",{TERMS}}}}}");
            foreign.publish(up.clone(), answer.into()).await.unwrap();
            foreign.publish(up, half(100_000, 10_000).into()).await.unwrap();
        };
        let (mut link, ()) = tokio::join!(async { within(connector.connect(&url)).await.unwrap() }, answered);
        links.push(tokio::spawn(async move { end(&mut link).await }));
    }
    let (mut read, mut unread) = (HashSet::new(), HashSet::new());
    while read.len() < 4 || unread.len() < 6 {
        let frame = within(down.next()).await.unwrap();
        let session = frame.subject.to_string();
        if frame.payload[9..17] == [0; 8] {
            unread.insert(session)
        } else {
            read.insert(session)
        };
        unread.retain(|session| !read.contains(session));
        assert!(read.len() <= 4);
    }
    links.iter().for_each(tokio::task::JoinHandle::abort);
}

/// The watch begins with the first look at it.
async fn announce_until_heard(foreign: &Client, id: i32) {
    for _ in 0..3 {
        let come = format!("{{\"come\":{{\"replica\":\"{id}\"}}}}");
        foreign.publish("plugins.probe.announce", come.into()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
