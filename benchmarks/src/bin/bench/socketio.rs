//! The plugin behind socket.io, in another process.

use examples::Done;

use crate::{Workload, measure, plugin};

pub(crate) async fn serve() -> Done {
    let (url, serving) = transport_socketio::serve("127.0.0.1:0", plugin).await?;
    measure::serve(url, serving).await
}

pub(crate) async fn measure(workload: Workload) -> Done {
    measure::server("socketio", workload, |url| transport_socketio::plugin("plugin", url)).await
}
