//! The plugin in its own thread, or in a task beside the engine.

use examples::Done;
use transport_worker::{Placement, WorkerConfig, worker_with};

use crate::{Workload, engine, measure, plugin};

pub(crate) async fn measure(name: &str, placement: Placement, workload: Workload) -> Done {
    let registration = worker_with("plugin", plugin, WorkerConfig::default().placement(placement));
    let (engine, local, _observing) = engine(registration, &workload).await?;
    measure::run(name, &workload, &local, None).await?;
    engine.shutdown().await;
    Ok(())
}
