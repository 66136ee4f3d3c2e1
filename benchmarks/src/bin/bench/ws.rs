//! The plugin behind a websocket, in another process.

use examples::Done;
use transport_ws::WsServerConfig;

use crate::{Workload, measure, plugin};

pub(crate) async fn serve() -> Done {
    // `scale` makes many links to one process.
    let config = WsServerConfig::default().max_connections(16_384).max_handshakes(16_384);
    let (url, serving) = transport_ws::serve_with("127.0.0.1:0", plugin, config).await?;
    measure::serve(url, serving).await
}

pub(crate) async fn measure(workload: Workload) -> Done {
    measure::server("ws", workload, |url| transport_ws::plugin("plugin", url)).await
}
