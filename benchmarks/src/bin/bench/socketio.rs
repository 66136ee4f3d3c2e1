//! The plugin behind socket.io, in another process.

use connector_core::{ClientConfig, serve as serve_plugin};
use examples::{Done, report};
use transport_socketio::{SocketIoServer, SocketIoServerConfig};

use crate::{Workload, engine, measure, options, plugin};

pub(crate) async fn serve() -> Done {
    let server = SocketIoServer::bind(("127.0.0.1", 0), SocketIoServerConfig::default()).await?;
    report(server.url());
    tokio::select! {
        end = serve_plugin(server, plugin, ClientConfig::default()) => Err(end.into()),
        () = measure::until_stdin_ends() => Ok(()),
    }
}

pub(crate) async fn measure(workload: Workload) -> Done {
    let server = measure::Server::start("socketio", workload.rt).await?;
    let registration = transport_socketio::plugin("plugin", &server.address).options(options(&workload));
    let (engine, local) = engine(registration).await?;
    measure::run("socketio", &workload, &local, server.pid()).await?;
    engine.shutdown().await;
    Ok(())
}
