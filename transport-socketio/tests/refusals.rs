//! Rejected clients cause warnings that name the setting, at a bounded rate.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use common::http::request;
use common::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};

/// Records the fields of each warning as one line.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("transport_socketio")
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

impl Warnings {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_warning_names_the_setting() {
    let token = SocketIoServerConfig::default().token("sesame");
    let full = SocketIoServerConfig::default().max_connections(0);
    for (config, setting) in
        [(token, "SocketIoServerConfig::token"), (full, "SocketIoServerConfig::max_connections allows 0")]
    {
        let warnings = Warnings::default();
        let _guard = tracing::subscriber::set_default(warnings.clone());
        let server = server(config).await;
        let end = dial(&server.url(), SocketIoConnectorConfig::default().token("hunter2")).await.err().unwrap();
        assert!(end.to_string().contains(setting), "{end}");
        let all = warnings.all();
        assert!(all.len() == 1 && all[0].contains(setting), "{all:?}");
        assert!(!format!("{end}{all:?}").contains("sesame") && !format!("{end}{all:?}").contains("hunter2"), "{all:?}");
    }
}

#[tokio::test]
async fn warnings_are_rate_limited_and_bounded_in_length() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let server = server(SocketIoServerConfig::default()).await;
    let origin = format!("Origin: https://{}\r\n", "x".repeat(5000));
    for _ in 0..200 {
        request(server.local_addr(), "GET", "/socket.io/?EIO=4&transport=polling", &origin, "").await;
    }
    let all = warnings.all();
    assert!(!all.is_empty() && all.len() < 100, "{}", all.len());
    let shown = |line: &String| line.contains("SocketIoServerConfig::allow_origin") && line.len() < 1000;
    assert!(all.iter().all(shown), "{all:?}");
}
