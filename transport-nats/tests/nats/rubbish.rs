//! Foreign programs on a plugin's subjects.

use std::time::Duration;

use async_nats::Client;
use conformance::links::{assert_ended, end, link_to, next_id, send};
use connector_core::{ConnectError, Event, LinkEnd, Payload, PluginConnector};
use futures_util::StreamExt;
use transport_nats::{NatsConnector, NatsServer};

use crate::broker::Broker;
use crate::support::{Replica, broker, config, engine, engine_of, within};

async fn foreign(broker: &Broker) -> Client {
    async_nats::connect(broker.url()).await.unwrap()
}

fn rubbish() -> Vec<Vec<u8>> {
    let open = |terms: &str| format!("{{\"open\":{{{terms}}}}}").into_bytes();
    vec![
        vec![],
        b"x".to_vec(),
        b"{}".to_vec(),
        b"{\"open\":{}}".to_vec(),
        b"{\"open\":5}".to_vec(),
        "[".repeat(100_000).into_bytes(),
        vec![0xff; 1 << 19],
        (0..=255).collect(),
        open(r#""version":1,"maxMessage":0,"window":0,"maxPayload":0"#),
        open(r#""version":1,"maxMessage":18446744073709551615,"window":18446744073709551615,"maxPayload":1e300"#),
        open(r#""version":99,"maxMessage":1000000,"window":100000,"maxPayload":1000000"#),
    ]
}

#[tokio::test]
async fn rubbish_on_a_replicas_subjects_is_ignored_and_never_answered_elsewhere() {
    let broker = broker();
    let _replica = Replica::start(config(&broker).replica("r1")).await;
    let (_engine, local) = engine(config(&broker)).await;
    let foreign = foreign(&broker).await;
    let mut victim = foreign.subscribe("victim.>").await.unwrap();
    for subject in ["plugins.probe.open", "plugins.probe.replica.r1.open", "plugins.probe.discover"] {
        for bytes in rubbish() {
            for reply in
                ["victim.a", "plugins.probe.session.x y.up", "plugins.probe.session.b.up", "victim.session.c.up"]
            {
                if foreign.publish_with_reply(subject, reply, bytes.clone().into()).await.is_err() {
                    // The library refuses spaces.
                    foreign.publish(subject, bytes.clone().into()).await.unwrap();
                }
            }
        }
    }
    // A session that nobody uses ends by itself.
    let terms = r#"{"open":{"version":1,"maxMessage":1000000,"window":100000,"maxPayload":1000000}}"#;
    foreign.publish_with_reply("plugins.probe.open", "plugins.probe.session.d.up", terms.into()).await.unwrap();
    foreign.flush().await.unwrap();
    for n in 0..20 {
        assert_eq!(within(local.call::<i64>("probe", "add", (n, 1))).await.unwrap(), n + 1);
    }
    let answered = tokio::time::timeout(Duration::from_millis(100), victim.next()).await;
    assert!(answered.is_err(), "{answered:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_a_replicas_is_an_error_that_says_so() {
    let broker = broker();
    let foreign = foreign(&broker).await;
    let mut asked = foreign.subscribe("plugins.probe.open").await.unwrap();
    foreign.flush().await.unwrap();
    let mut connector = NatsConnector::new(config(&broker));
    let mut answers = rubbish();
    answers.push(br#"{"replica":{"id":"r1","sessions":0,"draining":false}}"#.to_vec());
    answers.push(
        br#"{"opened":{"replica":"r1","version":2,"maxMessage":1000,"window":100000,"maxPayload":100000}}"#.to_vec(),
    );
    answers.push(br#"{"opened":{"replica":"r1","version":1,"maxMessage":0,"window":1,"maxPayload":1}}"#.to_vec());
    for answer in answers {
        let answering = async {
            let reply = within(asked.next()).await.unwrap().reply.unwrap();
            foreign.publish(reply, answer.clone().into()).await.unwrap();
        };
        let (connected, ()) = tokio::join!(within(connector.connect("nats:plugins.probe")), answering);
        let error = connected.err().unwrap();
        assert!(matches!(error, ConnectError::Protocol(_)), "{error:?}");
    }
}

#[tokio::test]
async fn rubbish_among_the_announcements_hides_no_replica() {
    let broker = broker();
    let _replica = Replica::start(config(&broker).replica("r1")).await;
    let foreign = foreign(&broker).await;
    let mut discoveries = foreign.subscribe("plugins.probe.discover").await.unwrap();
    foreign.flush().await.unwrap();
    let often = config(&broker).probe_interval(Duration::from_millis(200));
    let (_engine, local) = engine_of(transport_nats::replicas("probe", often).unwrap()).await;
    let answers = within(discoveries.next()).await.unwrap().reply.unwrap();
    let mut texts = rubbish();
    for kind in ["come", "drain", "gone"] {
        for id in ["", "*", "a.b", "r 1", "r2", &"x".repeat(65)] {
            texts.push(serde_json::json!({ kind: { "replica": id } }).to_string().into_bytes());
        }
        texts.push(format!(r#"{{"{kind}":{{}}}}"#).into_bytes());
    }
    texts.push(br#"{"replica":{"id":"*","sessions":0,"draining":false}}"#.to_vec());
    texts.push(br#"{"replica":{"id":"r3","sessions":0,"draining":false}}"#.to_vec());
    for text in &texts {
        foreign.publish("plugins.probe.announce", text.clone().into()).await.unwrap();
        foreign.publish(answers.clone(), text.clone().into()).await.unwrap();
    }
    foreign.flush().await.unwrap();
    for n in 0..50 {
        assert_eq!(within(local.call::<i64>("probe", "add", (n, 1))).await.unwrap(), n + 1);
    }
    // More made-up ones than an engine knows at once: they are forgotten, because they do not answer.
    for id in 0..1500 {
        let come = serde_json::json!({ "come": { "replica": format!("made-up-{id}") } });
        foreign.publish("plugins.probe.announce", come.to_string().into()).await.unwrap();
    }
    // And the real one is let go, until it answers the next question.
    let mut up = local.events::<(String, String)>("manager", "linkUp", 8).unwrap();
    let gone = r#"{"gone":{"replica":"r1"}}"#;
    foreign.publish("plugins.probe.announce", gone.into()).await.unwrap();
    assert!(matches!(within(up.recv()).await, Some(Event::Args((_, replica))) if replica == "r1"));
    for n in 0..50 {
        assert_eq!(within(local.call::<i64>("probe", "add", (n, 1))).await.unwrap(), n + 1);
    }
}

#[tokio::test]
async fn rubbish_in_a_session_ends_it_and_no_other() {
    let broker = broker();
    let foreign = foreign(&broker).await;
    let mut ups = foreign.subscribe("plugins.probe.session.*.up").await.unwrap();
    foreign.flush().await.unwrap();
    let mut server = NatsServer::bind("probe", config(&broker).window(16 << 10)).await.unwrap();
    // The check at the start.
    within(ups.next()).await.unwrap();
    let (url, mut connector) = (server.url(), NatsConnector::new(config(&broker)));
    let (mut other_plugin, mut other_engine) = link_to(&mut server, &mut connector, &url).await;
    within(ups.next()).await.unwrap();
    let header = |kind: u8, number: u64, read: u64| [&[kind][..], &number.to_be_bytes(), &read.to_be_bytes()].concat();
    let frames: Vec<(Vec<u8>, bool)> = vec![
        (vec![], true),
        (b"hello".to_vec(), true),
        (vec![9; 100], true),
        // Data with an incomplete length, of a message that is too large, over the window.
        ([header(1, 0, 0), vec![0]].concat(), true),
        ([header(1, 0, 0), vec![0xff; 4]].concat(), false),
        ([header(1, 0, 0), vec![0; 20_000]].concat(), true),
        // An acknowledgement of what was not sent, and an answer to nothing.
        (header(2, 0, 1), true),
        (header(5, 0, 0), true),
        // A frame is missing.
        (header(1, 7, 0), false),
    ];
    for (frame, is_bad) in frames {
        let (mut plugin, mut engine) = link_to(&mut server, &mut connector, &url).await;
        let opened = within(ups.next()).await.unwrap();
        let down = opened.subject.replace(".up", ".down");
        foreign.publish(down, frame.clone().into()).await.unwrap();
        let here = end(&mut plugin).await;
        match is_bad {
            true => assert!(matches!(here, LinkEnd::BadFrame(_)), "{frame:?}: {here:?}"),
            false => {
                assert!(matches!(here, LinkEnd::Lost(_) | LinkEnd::TooLarge { .. } | LinkEnd::BadFrame(_)), "{here:?}")
            }
        }
        assert_ended(&mut plugin, &here).await;
        let there = end(&mut engine).await;
        assert!(matches!(&there, LinkEnd::Lost(_)), "{there:?}");
        // What the end of this session published.
        while !within(ups.next()).await.unwrap().payload.starts_with(&[6]) {}
    }
    send(&mut other_engine, still_up(1)).await.unwrap();
    assert_eq!(next_id(&mut other_plugin).await, 1);
}

fn still_up(id: i64) -> connector_core::Message {
    conformance::links::emit(id, Payload::new("still up"))
}
