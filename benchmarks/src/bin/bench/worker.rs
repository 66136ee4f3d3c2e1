//! The plugin in its own thread, in a task beside the engine, or without a link.

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

pub(crate) async fn measure_in_process(workload: Workload) -> Done {
    let (engine, local, _observing) = engine(plugin().into(), &workload).await?;
    measure::run("in-process", &workload, &local, None).await?;
    engine.shutdown().await;
    Ok(())
}
