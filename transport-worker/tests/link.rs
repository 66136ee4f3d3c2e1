//! The contract of a link without the core around it, and the order of many messages.
#![cfg(all(feature = "client", feature = "plugin"))]

mod support;

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context as Cx, Poll, Waker};
use std::time::Duration;

use connector_core::{
    Action, ClientConnector, ConnectError, Context, Link, LinkEnd, Message, Payload, Plugin, PluginConnector, SendError,
};
use support::{Host, LIMIT, PLACEMENTS, placed};
use tokio::sync::oneshot;
use tokio::time::timeout;
use transport_worker::{WorkerConfig, WorkerConnector, pair};

async fn links(capacity: usize) -> [Box<dyn Link>; 2] {
    let (mut connector, mut client) = pair(capacity);
    let here = connector.connect("").await.unwrap();
    [here, client.accept().await.unwrap()]
}

fn numbered(id: i64) -> Message {
    Message { id: Some(id.into()), ..Message::new(Action::Emit) }
}

/// Sends until the link is full.
fn fill(link: &mut dyn Link, from: i64) -> i64 {
    let mut cx = Cx::from_waker(Waker::noop());
    for id in from.. {
        if link.poll_ready(&mut cx).map(Result::unwrap).is_pending() {
            return id;
        }
        link.send(numbered(id)).unwrap();
    }
    unreachable!()
}

async fn receive(link: &mut dyn Link) -> Result<Message, LinkEnd> {
    let received = timeout(LIMIT, poll_fn(|cx| link.poll_message(cx))).await.expect("nothing arrives");
    received.map(Result::unwrap)
}

/// Asserts that all methods report this end.
fn assert_ended(link: &mut dyn Link, end: &LinkEnd) {
    let mut cx = Cx::from_waker(Waker::noop());
    let said = [
        link.poll_ready(&mut cx).map(Result::unwrap_err),
        link.poll_flush(&mut cx).map(Result::unwrap_err),
        link.poll_message(&mut cx).map(Result::unwrap_err),
        match link.send(numbered(0)).unwrap_err() {
            SendError::Ended(end) => Poll::Ready(end),
            other => panic!("{other:?}"),
        },
    ];
    for one in said {
        let Poll::Ready(one) = one else { panic!("a method is pending after the end") };
        assert_eq!(one.to_string(), end.to_string());
    }
    assert!(link.poll_disconnect(&mut cx).is_ready());
}

#[tokio::test]
async fn a_full_link_pushes_back_both_ways_and_loses_nothing() {
    for capacity in [0, 1, 10, 500] {
        let [mut here, mut there] = links(capacity).await;
        let sent = fill(&mut *here, 0);
        assert_eq!(sent, capacity.max(1) as i64);
        assert_eq!(fill(&mut *there, 0), sent, "full at both ends at once");
        // Reading wakes a waiting sender.
        let waiting = tokio::spawn(async move {
            poll_fn(|cx| here.poll_ready(cx)).await.unwrap();
            here
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(receive(&mut *there).await.unwrap().id, Some(0.into()));
        let mut here = timeout(LIMIT, waiting).await.expect("it is not woken").unwrap();
        let all = fill(&mut *here, sent);
        poll_fn(|cx| here.poll_disconnect(cx)).await;
        for id in 1..all {
            assert_eq!(receive(&mut *there).await.unwrap().id, Some(id.into()));
        }
        receive(&mut *there).await.unwrap_err();
    }
}

/// Text knows its size; a value is measured while it waits.
#[tokio::test]
async fn a_link_pushes_back_by_bytes_and_carries_one_message_of_any_size() {
    const MIB: usize = 1 << 20;
    let text = |bytes: usize| Payload::from_json(format!("\"{}\"", "x".repeat(bytes))).unwrap();
    let value = |bytes: usize| Payload::new("x".repeat(bytes));
    let mut cx = Cx::from_waker(Waker::noop());
    for (payload, bytes, fits) in [
        (&text as &dyn Fn(usize) -> Payload, 20 * MIB, 1),
        (&text, 3 * MIB, 3),
        (&text, MIB / 2, 16),
        // The first waits behind no other, so it is not measured.
        (&value, 3 * MIB, 4),
    ] {
        let [mut here, mut there] = links(256).await;
        let mut sent = 0;
        for _ in 0..2 {
            let began = sent;
            while here.poll_ready(&mut cx).map(Result::unwrap).is_ready() {
                assert!(sent < 100, "no back-pressure by bytes");
                here.send(Message { payload: Some(payload(bytes)), ..numbered(sent) }).unwrap();
                poll_fn(|cx| here.poll_flush(cx)).await.unwrap();
                sent += 1;
            }
            assert_eq!(sent - began, fits, "of {bytes} bytes");
            // The receiver takes them all at once: as many fit again.
            assert_eq!(receive(&mut *there).await.unwrap().id, Some(began.into()));
            timeout(LIMIT, poll_fn(|cx| here.poll_ready(cx))).await.expect("it is not woken").unwrap();
            for id in began + 1..sent {
                assert_eq!(receive(&mut *there).await.unwrap().id, Some(id.into()));
            }
        }
    }
}

#[tokio::test]
async fn messages_sent_before_a_close_arrive_before_it() {
    let [mut here, mut there] = links(100).await;
    let sent = fill(&mut *here, 0);
    poll_fn(|cx| here.poll_disconnect(cx)).await;
    assert_ended(&mut *here, &LinkEnd::Disconnected);
    drop(here);
    let mut cx = Cx::from_waker(Waker::noop());
    assert!(
        there.poll_ready(&mut cx).map(Result::unwrap).is_ready(),
        "the end is not reported before the received messages"
    );
    for id in 0..sent {
        assert_eq!(receive(&mut *there).await.unwrap().id, Some(id.into()));
        assert!(there.poll_flush(&mut cx).map(Result::unwrap).is_ready());
    }
    let end = receive(&mut *there).await.unwrap_err();
    assert!(matches!(end, LinkEnd::Closed { .. }), "{end:?}");
    assert_ended(&mut *there, &end);
}

#[tokio::test]
async fn a_close_flushes() {
    let [mut here, mut there] = links(100).await;
    poll_fn(|cx| here.poll_ready(cx)).await.unwrap();
    here.send(numbered(7)).unwrap();
    poll_fn(|cx| here.poll_disconnect(cx)).await;
    assert_eq!(receive(&mut *there).await.unwrap().id, Some(7.into()));
}

#[tokio::test]
async fn a_dropped_link_is_lost() {
    let [mut here, mut there] = links(1).await;
    fill(&mut *here, 0);
    drop(there);
    let mut cx = Cx::from_waker(Waker::noop());
    assert!(here.poll_ready(&mut cx).is_pending(), "the reader reports the end");
    let end = receive(&mut *here).await.unwrap_err();
    assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
    assert_ended(&mut *here, &end);
    [here, there] = links(1).await;
    let waiting = tokio::spawn(async move { receive(&mut *there).await.unwrap_err() });
    tokio::task::yield_now().await;
    drop(here);
    timeout(LIMIT, waiting).await.expect("a reader is woken by the end").unwrap();
}

#[tokio::test]
async fn a_dropped_end_refuses_connect_and_ends_accept() {
    let (mut connector, client) = pair(1);
    drop(client);
    assert!(matches!(connector.connect("").await, Err(ConnectError::Refused(_))));
    let (connector, mut client) = pair(1);
    drop(connector);
    assert!(matches!(client.accept().await, Err(LinkEnd::Closed { .. })));
}

/// Performs the handshake itself, receives all the plugin's messages, then its end.
#[tokio::test]
async fn messages_sent_before_a_panic_arrive_before_the_end() {
    for placement in PLACEMENTS {
        let make = || {
            Plugin::new("p").on_activation(|client| async move {
                for n in 0..1000 {
                    client.emit("tick", (n,)).await.unwrap();
                }
                // The emitted events are sent during this sleep.
                tokio::time::sleep(Duration::from_secs(1)).await;
                panic!("out of cheese")
            })
        };
        let mut connector = WorkerConnector::new("p", make, placed(placement));
        let mut link = connector.connect("").await.unwrap();
        assert_eq!(receive(&mut *link).await.unwrap().key.as_deref(), Some("handshake"));
        poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
        let (key, name) = (Some("handshake".into()), Some("p".into()));
        let payload = Some(Payload::new(("p".to_owned(),)));
        link.send(Message { id: Some((-2).into()), key, name, payload, ..Message::new(Action::Request) }).unwrap();
        poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
        let mut ticks = 0;
        let end = loop {
            match receive(&mut *link).await {
                Ok(Message { action: Action::Emit, payload: Some(args), .. }) => {
                    assert_eq!(args.read::<(i64,)>().unwrap(), (ticks,));
                    ticks += 1;
                }
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        assert_eq!(ticks, 1000);
        assert!(matches!(end, LinkEnd::Lost(_)) && end.to_string().contains("out of cheese"), "{end}");
        assert_ended(&mut *link, &end);
    }
}

#[tokio::test]
async fn a_hundred_thousand_events_arrive_in_order() {
    const EVENTS: u64 = 100_000;
    for placement in PLACEMENTS {
        // A small capacity makes both ends wait for each other often.
        let config: WorkerConfig = placed(placement).capacity(16);
        let host = Host::with("p", config, || {
            Plugin::new("p").method("fire", |ctx: Context, n: u64| async move {
                for i in 0..n {
                    ctx.client().emit("tick", (i,)).await?;
                }
                Ok::<_, connector_core::CallError>(())
            })
        })
        .await;
        let (tell, done) = oneshot::channel();
        let state = Mutex::new((0, Some(tell)));
        let state = Arc::new(state);
        host.local
            .on("p", "tick", move |i: u64| {
                let mut state = state.lock().unwrap();
                assert_eq!(i, state.0, "in order, none missing");
                state.0 += 1;
                if state.0 == EVENTS {
                    state.1.take().unwrap().send(()).unwrap();
                }
            })
            .unwrap();
        host.local.call_within::<()>(LIMIT, "p", "fire", (EVENTS,)).await.unwrap();
        timeout(LIMIT, done).await.expect("not all events arrived").unwrap();
    }
}

#[test]
fn no_wake_up_between_the_ends_is_lost() {
    const MESSAGES: i64 = 100_000;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let [mut here, mut there] = runtime().block_on(links(3));
    let sender = std::thread::spawn(move || {
        runtime().block_on(async move {
            for id in 0..MESSAGES {
                let ready = timeout(LIMIT, poll_fn(|cx| here.poll_ready(cx))).await;
                ready.unwrap_or_else(|_| panic!("not ready after {id}")).unwrap();
                here.send(numbered(id)).unwrap();
                // Alternates between single messages and full batches.
                if id % 7 < 3 {
                    poll_fn(|cx| here.poll_flush(cx)).await.unwrap();
                }
            }
            poll_fn(|cx| here.poll_disconnect(cx)).await;
        });
    });
    runtime().block_on(async {
        for id in 0..MESSAGES {
            let message = timeout(LIMIT, poll_fn(|cx| there.poll_message(cx))).await;
            let message = message.unwrap_or_else(|_| panic!("{id} did not arrive"));
            assert_eq!(message.unwrap().unwrap().id, Some(id.into()));
        }
        let end = timeout(LIMIT, poll_fn(|cx| there.poll_message(cx))).await.expect("the end did not arrive");
        assert!(matches!(end, Err(LinkEnd::Closed { .. })), "{end:?}");
    });
    sender.join().unwrap();
}
