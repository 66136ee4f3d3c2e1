//! Values are moved: a value of the same type at both ends is never serialized, any other is serialized once. One that waits
//! behind other messages is visited once more, to measure it.
#![cfg(feature = "plugin")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connector_core::{CallError, Context, Json, Plugin};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use support::{Host, PLACEMENTS, address, placed};

/// Panics if it is serialized or deserialized.
#[derive(Debug)]
struct Sealed(String);

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("serialized")
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Sealed, D::Error> {
        panic!("deserialized")
    }
}

/// How often a value may be visited to measure it.
const MEASURED: usize = 1;

/// Counts how often it is serialized or measured.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_str("counted")
    }
}

#[tokio::test]
async fn a_string_keeps_its_address() {
    for placement in PLACEMENTS {
        let host = Host::with("p", placed(placement), || {
            Plugin::new("p").method("where", address).method("relay", |ctx: Context, text: String| async move {
                let here = text.as_ptr() as usize;
                let (there, text): (usize, String) = ctx.client().call("local", "where", (text,)).await?;
                Ok::<_, CallError>((here, there, text))
            })
        })
        .await;
        let text = "x".repeat(1 << 16);
        let sent = text.as_ptr() as usize;
        let (there, back): (usize, String) = host.local.call("p", "where", (text,)).await.unwrap();
        assert_eq!((there, back.as_ptr() as usize), (sent, sent), "to a plugin and back");
        let there: (usize, usize, String) = host.local.call("p", "relay", (back,)).await.unwrap();
        assert_eq!((there.0, there.1, there.2.as_ptr() as usize), (sent, sent, sent), "from a plugin and back");
    }
}

#[tokio::test]
async fn a_value_of_the_same_type_at_both_ends_is_never_serialized() {
    for placement in PLACEMENTS {
        let host = Host::with("p", placed(placement), || {
            Plugin::new("p").method("echo", |sealed: Sealed| async move { Json(sealed) })
        })
        .await;
        let back: Sealed = host.local.call("p", "echo", (Sealed("text".to_owned()),)).await.unwrap();
        assert_eq!(back.0, "text");
    }
}

#[tokio::test]
async fn a_value_of_another_type_at_the_other_end_is_serialized_once() {
    for placement in PLACEMENTS {
        let (argument, result) = (Counted::default(), Counted::default());
        let given = result.clone();
        let host = Host::with("p", placed(placement), move || {
            let given = given.clone();
            Plugin::new("p").method("other", move |text: String| {
                assert_eq!(text, "counted");
                let given = given.clone();
                async move { Json(given) }
            })
        })
        .await;
        let back: String = host.local.call("p", "other", (argument.clone(),)).await.unwrap();
        assert_eq!(back, "counted");
        for value in [argument, result] {
            let visits = value.0.load(Ordering::Relaxed);
            assert!((1..=1 + MEASURED).contains(&visits), "{visits}");
        }
    }
}

/// The engine stores the event, and two plugins and the host receive it.
#[tokio::test]
async fn an_event_is_serialized_once_with_listeners_and_never_without() {
    for placement in PLACEMENTS {
        let (event_value, received) = (Counted::default(), Arc::new(AtomicUsize::new(0)));
        let event = event_value.clone();
        let host = Host::with("emitter", placed(placement), move || {
            let event = event.clone();
            Plugin::new("emitter").method("fire", move |ctx: Context| {
                let event = event.clone();
                async move { ctx.client().emit("tick", (event,)).await }
            })
        })
        .await;
        host.local.call::<()>("emitter", "fire", ()).await.unwrap();
        assert!(event_value.0.load(Ordering::Relaxed) <= MEASURED, "no listener exists");
        event_value.0.store(0, Ordering::Relaxed);
        for name in ["first", "second"] {
            let count = Arc::clone(&received);
            host.register(name, placed(placement), move || {
                let count = Arc::clone(&count);
                Plugin::new(name).method("listen", move |ctx: Context| {
                    let count = Arc::clone(&count);
                    async move {
                        ctx.client().on("emitter", "tick", move |text: String| {
                            assert_eq!(text, "counted");
                            count.fetch_add(1, Ordering::Relaxed);
                        })
                    }
                })
            });
            host.local.call::<()>(name, "listen", ()).await.unwrap();
        }
        let count = Arc::clone(&received);
        let listener = move |_: String| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        host.local.on("emitter", "tick", listener).unwrap();
        host.local.call::<()>("emitter", "fire", ()).await.unwrap();
        let all = async {
            while received.load(Ordering::Relaxed) < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(support::LIMIT, all).await.expect("not all listeners received it");
        let visits = event_value.0.load(Ordering::Relaxed);
        assert!((1..=1 + MEASURED).contains(&visits), "{visits}");
    }
}
