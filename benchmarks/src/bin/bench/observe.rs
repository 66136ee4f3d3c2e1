//! What observes the engine while it is measured.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use connector_core::{Engine, Interests, Observation, Observer};
use connector_inspect::{Capture, Inspector, Recent, Recorder, RecorderOptions, ServeOptions, Statistics, serve};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::measure::Result;

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observe {
    /// No observer.
    Off,
    /// An observer of the calls' ends alone, which adds one to a number.
    Ends,
    /// Statistics.
    Count,
    /// An observer that does nothing.
    Nothing,
    /// Recent records.
    Ring,
    /// A recorder, into a temporary file.
    Record,
    /// An inspector without a viewer.
    Serve,
    /// An inspector with a viewer that shows all records.
    Page,
}

#[derive(Default)]
struct Ends(AtomicU64);

impl Observer for Ends {
    fn interests(&self) -> Interests {
        Interests::CALL_ENDED
    }

    fn observe(&self, _: &Observation<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Observes the engine until the returned value is dropped.
pub(crate) async fn observe(engine: &Engine, observe: Observe) -> Result<Box<dyn Any>> {
    Ok(match observe {
        Observe::Off => Box::new(()),
        Observe::Nothing => Box::new(engine.observe(|_: &Observation<'_>| {})),
        Observe::Ends => Box::new(engine.observe(Ends::default())),
        Observe::Count => Box::new(engine.observe(Statistics::new())),
        Observe::Ring => Box::new(engine.observe(Recent::new(Capture::new(), 10_000, 16 << 20))),
        Observe::Record => {
            let folder = tempfile::tempdir()?;
            let recorder = Recorder::start(engine, folder.path().join("r.ndjson"), RecorderOptions::default())?;
            Box::new((recorder, folder))
        }
        Observe::Serve => Box::new(serve(engine, ServeOptions::default()).await?),
        Observe::Page => {
            let inspector = serve(engine, ServeOptions::default().token("token")).await?;
            view(&inspector);
            Box::new(inspector)
        }
    })
}

/// A viewer on its own thread, until the inspector ends.
fn view(inspector: &Inspector) {
    let url = format!("ws://{}/ws", inspector.local_addr());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut request = url.into_client_request().map_err(std::io::Error::other)?;
            request.headers_mut().insert("authorization", "Bearer token".parse().map_err(std::io::Error::other)?);
            let (mut socket, _) = connect_async(request).await.map_err(std::io::Error::other)?;
            let _ = socket.send(Message::text(r#"{"type":"feed","id":1}"#)).await;
            while let Some(Ok(_)) = socket.next().await {}
            Ok::<_, std::io::Error>(())
        })
    });
}
