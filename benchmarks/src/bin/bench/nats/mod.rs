//! The plugin behind a NATS server, in another process.

#[path = "../../../../../transport-nats/tests/common/broker.rs"]
mod broker;
pub(crate) mod floor;

use examples::Done;
use transport_nats::NatsConfig;

use self::broker::Broker;
use crate::{Workload, measure, plugin};

/// The server ends with this process.
pub(crate) async fn serve() -> Done {
    let broker = Broker::start()?;
    let serving = transport_nats::serve(plugin, NatsConfig::new(broker.url())).await?;
    measure::serve(broker.url(), serving).await
}

pub(crate) async fn measure(workload: Workload) -> Done {
    measure::server("nats", workload, |url| transport_nats::plugin("plugin", NatsConfig::new(url))).await
}
