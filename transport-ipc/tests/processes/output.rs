//! What a program prints is traced, in its plugin's name.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use connector_core::{ExternalProfile, Registration};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use transport_ipc::{ChildConnector, child};

use crate::support::*;

/// Keeps every event's fields as one line of text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Lines {
    fn of(&self, part: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.contains(part)).cloned().collect()
    }
}

#[tokio::test]
async fn each_line_names_the_plugin_and_is_printable() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let script =
        format!("printf 'one\\ntwo \\033[31mred\\rforged\\n' >&2; {HANDSHAKE}answer=x; {ANSWER} exec sleep 1000");
    let program = || shell(&script);
    let behind = Registration::behind(ExternalProfile::new("p", "exec:sh"), ChildConnector::new(program()));
    for registration in [child("p", program()), behind] {
        let host = Host::new().await;
        host.activate(registration).await.unwrap();
        host.call().await.unwrap();
        soon(async {
            while lines.of("two").is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        let told = [lines.of("one"), lines.of("two")].concat();
        assert!(
            told.iter().all(|line| line.contains(r#"plugin="p""#) && line.contains(r#"output="stderr""#)),
            "{told:?}"
        );
        assert!(told.iter().all(|line| !line.contains(['\x1b', '\r'])), "{told:?}");
        soon(host.engine.shutdown()).await;
        lines.0.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_counted_instead_of_traced() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let script = format!("seq 1 200000 >&2; {HANDSHAKE}answer=x; {ANSWER} exec sleep 1000");
    let host = Host::new().await;
    host.activate(child("p", shell(&script))).await.unwrap();
    host.call().await.unwrap();
    soon(host.engine.shutdown()).await;
    soon(async {
        while lines.of("more lines came").is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let traced = lines.of("output=").len();
    // So many a second, however long the machine takes; without a limit it would be all of them.
    assert!((100..20_000).contains(&traced), "{traced}");
}
