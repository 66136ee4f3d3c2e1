//! The plugin behind a websocket, in another process.

use connector_core::{ClientConfig, serve as serve_plugin};
use examples::{Done, report};
use transport_ws::{WsServer, WsServerConfig};

use crate::{Workload, engine, measure, options, plugin};

pub(crate) async fn serve() -> Done {
    // `scale` makes many links to one process.
    let config = WsServerConfig::default().max_connections(16_384);
    let server = WsServer::bind(("127.0.0.1", 0), config).await?;
    report(server.url());
    tokio::select! {
        end = serve_plugin(server, plugin, ClientConfig::default()) => Err(end.into()),
        () = measure::until_stdin_ends() => Ok(()),
    }
}

pub(crate) async fn measure(workload: Workload) -> Done {
    let server = measure::Server::start("ws", workload.rt).await?;
    let registration = transport_ws::plugin("plugin", &server.address).options(options(&workload));
    let (engine, local) = engine(registration).await?;
    measure::run("ws", &workload, &local, server.pid()).await?;
    engine.shutdown().await;
    Ok(())
}
